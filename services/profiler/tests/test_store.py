# SPDX-License-Identifier: Apache-2.0
"""Snapshots on a real broker: fenced, checked, and the one before kept."""

import logging

import pytest

from habitus import subjects
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.judgement import Limits
from habitus_profiler.profile import Profile
from habitus_profiler.store import Store
from habitus_profiler.tenure import Fenced, claim

LIMITS, RULE = Limits(64, 256, None), Rule(3600, 0, 100)


@pytest.fixture
async def store(bus):
    return await Store.open(bus, 1)


def profile_of(make, *programs, image="webapp:v1"):
    profile = Profile(image, 5, LIMITS, Learning(RULE))
    for program in programs:
        profile.learn(make([program]))
    return profile


def names(profile):
    return sorted(profile.process["bash"])


async def loaded(store):
    tenure = await claim(store, 5)
    found = [await tenure.load(key, LIMITS, RULE) for key in tenure.names()]
    return tenure, {profile.image_key: profile for profile in found if profile}


async def save(tenure, profiles):
    await tenure.save(profiles, profiles.keys())


async def damage(bus, kept):
    """Change one byte in the middle of a snapshot."""
    subject = subjects.snapshots(5, f"{kept.name}.0")
    data = bytearray((await bus.js.get_last_msg(subjects.PROFILES, subject)).data)
    data[len(data) // 2] ^= 0xFF
    await bus.js.publish(subject, bytes(data))


async def test_a_former_owner_that_wakes_late_writes_nothing_over_the_new_owner_s(store, make):
    """From the moment of the claim on, whatever he holds."""
    former, _ = await loaded(store)
    profile = profile_of(make, "java")
    await save(former, {"webapp:v1": profile})
    profile.learn(make(["late"]))
    owner, mine = await loaded(store)
    with pytest.raises(Fenced):
        await save(former, {"webapp:v1": profile})
    assert profile.dirty
    assert former.fenced.is_set()
    with pytest.raises(Fenced):
        await former.freeze()
    mine["webapp:v1"].learn(make(["tar"]))
    await save(owner, mine)
    _, found = await loaded(store)
    assert names(found["webapp:v1"]) == ["java", "tar"]
    assert not (await claim(store, 5)).frozen


async def test_what_was_stored_though_its_answer_was_lost_is_no_former_owner(store, make):
    """The list is ours: go on from it."""
    tenure, _ = await loaded(store)
    profile = profile_of(make, "java")
    await save(tenure, {"webapp:v1": profile})
    tenure._sequence -= 1
    profile.learn(make(["tar"]))
    await save(tenure, {"webapp:v1": profile})
    _, found = await loaded(store)
    assert names(found["webapp:v1"]) == ["java", "tar"]


async def test_a_damaged_snapshot_is_refused_and_the_one_before_used(store, bus, make, caplog):
    """It is said clearly, also that what came after is lost; without one before, learning starts anew."""
    tenure, _ = await loaded(store)
    profile = profile_of(make, "java")
    await save(tenure, {"webapp:v1": profile})
    profile.learn(make(["tar"]))
    await save(tenure, {"webapp:v1": profile})
    await damage(bus, tenure._list.profiles["webapp:v1"].newest)
    with caplog.at_level(logging.ERROR):
        owner, found = await loaded(store)
    assert names(found["webapp:v1"]) == ["java"]
    assert "snapshot of webapp:v1 refused: the checksum does not fit" in caplog.text
    assert "webapp:v1 goes on from the snapshot before (revision" in caplog.text
    await save(owner, found)
    await damage(bus, owner._list.profiles["webapp:v1"].newest)
    await damage(bus, owner._list.profiles["webapp:v1"].before)
    with caplog.at_level(logging.ERROR):
        _, found = await loaded(store)
    assert not found
    assert "no usable snapshot of webapp:v1: its profile starts anew" in caplog.text


async def test_a_damaged_list_is_refused_and_the_one_before_used(store, bus, make, caplog):
    """No profile is lost with it."""
    tenure, _ = await loaded(store)
    await save(tenure, {"webapp:v1": profile_of(make, "java")})
    await bus.js.publish(subjects.snapshots(5, "list"), b"rubbish")
    with caplog.at_level(logging.ERROR):
        _, found = await loaded(store)
    assert names(found["webapp:v1"]) == ["java"]
    assert "partition 5 goes on from the list before" in caplog.text


async def test_a_large_snapshot_travels_in_parts_and_a_missing_part_is_told(store, bus, make, caplog):
    """More than one message holds."""
    tenure, _ = await loaded(store)
    profile = profile_of(
        make, *(f"{'abcdefghij'[number % 10] * 60}{'klmno' * (number // 10)}" for number in range(600))
    )
    await save(tenure, {"webapp:v1": profile})
    kept = tenure._list.profiles["webapp:v1"].newest
    assert kept.chunks > 1
    _, found = await loaded(store)
    assert names(found["webapp:v1"]) == names(profile)
    await bus.js.purge_stream(subjects.PROFILES, subject=subjects.snapshots(5, f"{kept.name}.1"))
    _, found = await loaded(store)
    assert not found
    assert "part 2 of" in caplog.text


async def test_only_the_newest_snapshots_take_room_and_forgotten_profiles_take_none(store, make):
    """Also what a former owner wrote and never listed."""
    tenure, _ = await loaded(store)
    profiles = {"webapp:v1": profile_of(make, "java"), "other:1": profile_of(make, "sh", image="other:1")}
    for _ in range(4):
        for profile in profiles.values():
            profile.dirty = True
        await save(tenure, profiles)
    assert len(await store.names(5)) == 4
    del profiles["other:1"]
    await save(tenure, profiles)
    assert len(await store.names(5)) == 2
    await store.write(5, "abandoned", b"x")
    _, found = await loaded(store)
    assert list(found) == ["webapp:v1"]
    assert len(await store.names(5)) == 2


async def test_each_owner_of_a_profile_that_judges_has_a_revision_of_its_own_without_writing_it_anew(
    store, make
):
    """Collectors ask anew after a restart, and a thousand profiles are not rewritten for it."""
    tenure, _ = await loaded(store)
    profile = profile_of(make, "java")
    profile.detect(1)
    await save(tenure, {"webapp:v1": profile})
    seen = [profile.revision]
    for _ in range(3):
        _, found = await loaded(store)
        one = found["webapp:v1"]
        assert not one.dirty
        assert one.in_force == one.revision
        seen.append(one.revision)
    assert seen == sorted(set(seen))
    assert len(await store.names(5)) == 1

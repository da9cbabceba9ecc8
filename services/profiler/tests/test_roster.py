# SPDX-License-Identifier: Apache-2.0
"""Profiles that are loaded when they are needed, and put to rest when they are not."""

import asyncio

import pytest

from habitus import wire
from habitus.images import partition_of
from habitus.profiles import ProfileSummary
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.guard import Guarding
from habitus_profiler.judgement import Limits
from habitus_profiler.partition import Partition, Services
from habitus_profiler.profile import Profile
from habitus_profiler.room import fill, relieve
from habitus_profiler.roster import Roster
from habitus_profiler.store import Store
from habitus_profiler.tenure import Fenced, claim
from habitus_profiler.vectors import Vectors

LIMITS, RULE = Limits(64, 256, None), Rule(3600, 0, 100)
QUIET, BUSY = "quiet:1", "busy:1"


@pytest.fixture
async def store(bus):
    return await Store.open(bus, 1)


def learned(make, image, *programs):
    profile = Profile(image, 5, LIMITS, Learning(RULE))
    for program in programs:
        profile.learn(make([program], image=image))
    for leaf in profile.leaves():
        leaf.pending.clear()
    profile.detect(1)
    return profile


@pytest.fixture
async def roster(store, make):
    """A partition that was taken over, with two profiles that judge."""
    profiles = {QUIET: learned(make, QUIET, "tar"), BUSY: learned(make, BUSY, "java", "sh")}
    await (await claim(store, 5)).save(profiles, profiles.keys())
    return Roster(5, await claim(store, 5), LIMITS, RULE)


async def saved(roster):
    await roster._tenure.save(roster.profiles, roster.names())


async def until(holds):
    async with asyncio.timeout(20):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


class Owned:
    """What of a partition is asked when room is short."""

    def __init__(self, roster, *works_on):
        self.roster, self.profiles = roster, roster.profiles
        self.works_on = works_on.__contains__


async def test_who_takes_over_knows_the_names_and_loads_what_is_asked_for_once(roster):
    """The busiest is the first to be loaded beside the work; two that ask get one profile."""
    assert list(roster.waiting) == [BUSY, QUIET]
    assert not roster.profiles
    first, second = await asyncio.gather(roster.get(QUIET), roster.get(QUIET))
    assert first is second
    assert first is not None
    assert list(roster.profiles) == [QUIET]
    assert roster.names() == {QUIET, BUSY}
    assert roster.absent({QUIET, BUSY, "new:1"}) == {BUSY}
    assert await roster.get("new:1") is None


async def test_a_save_forgets_no_profile_that_is_not_loaded(roster, store):
    """Nor its snapshot."""
    (await roster.get(QUIET)).dirty = True
    await saved(roster)
    again = Roster(5, await claim(store, 5), LIMITS, RULE)
    assert sorted(again.names()) == [BUSY, QUIET]
    assert sorted((await again.get(BUSY)).process["bash"]) == ["java", "sh"]


async def test_a_profile_at_rest_keeps_its_revision_in_force_and_comes_back_with_it(roster):
    """Collectors go on to hold back what it contains."""
    profile = await roster.get(BUSY)
    revision = profile.in_force
    assert revision == profile.revision
    assert roster.rest(BUSY) > 0
    assert roster.resting[BUSY].in_force == revision
    assert await roster.summary(BUSY) == ProfileSummary.model_validate_json(roster.resting[BUSY].summary)
    assert BUSY in roster.resting
    back = await roster.get(BUSY)
    assert back is not profile
    assert back.in_force == revision
    assert not roster.resting


@pytest.mark.parametrize(
    "change",
    [
        lambda profile: setattr(profile, "dirty", True),
        lambda profile: setattr(profile, "state", "relearn"),
        lambda profile: profile.applied.add(7),
        lambda profile: setattr(profile, "kept", 0),
        lambda profile: next(profile.leaves()).pending.update(java=True),
    ],
    ids=["dirty", "learns", "applied", "revision", "vectors"],
)
async def test_what_its_snapshot_does_not_say_keeps_a_profile_in_memory(roster, change):
    """Also a sequence that the broker has not acknowledged, and a vector that is asked for."""
    profile = await roster.get(BUSY)
    change(profile)
    assert roster.rest(BUSY) == 0
    assert roster.profiles[BUSY] is profile


async def test_short_of_room_what_was_used_longest_ago_rests_first(roster):
    """What open work holds stays, and what was only loaded goes before what was used."""
    for key in (QUIET, BUSY):
        await roster.load(key)
    most = roster.bytes() - 1
    relieve([Owned(roster)], 0, in_use_s=0)
    assert len(roster.profiles) == 2
    relieve([Owned(roster)], most)
    assert list(roster.profiles) == [BUSY]
    relieve([Owned(roster, BUSY)], 1)
    assert list(roster.profiles) == [BUSY]
    roster.touch(BUSY)
    relieve([Owned(roster)], 1)
    assert list(roster.profiles) == [BUSY]
    relieve([Owned(roster)], 1, in_use_s=0)
    assert not roster.profiles


async def test_a_profile_that_went_on_from_an_older_snapshot_has_a_revision_of_its_own(
    roster, store, bus, caplog
):
    """Collectors must not take what the lost one contained for known, nor where none is left at all."""
    profile = await roster.get(BUSY)
    profile.dirty = True
    await saved(roster)
    entry = roster._tenure._list.profiles[BUSY]
    await bus.js.publish(f"habitus.snapshots.5.{entry.newest.name}.0", b"rubbish")
    assert roster.rest(BUSY) > 0
    older = await roster.get(BUSY)
    assert older.revision == profile.revision + 1
    assert not older.in_force
    assert "goes on from the snapshot before" in caplog.text
    await bus.js.publish(f"habitus.snapshots.5.{entry.before.name}.0", b"rubbish")
    again = Roster(5, await claim(store, 5), LIMITS, RULE)
    assert await again.get(BUSY) is None
    assert BUSY not in again.names()
    assert again.new(BUSY).revision > profile.revision


async def test_a_batch_has_the_profiles_that_it_needs_whatever_the_bound(store, bus, make):
    """All are loaded once and go again where room is short; what a batch needs is there when it is judged."""
    names = [name for name in (f"app-{n}:1" for n in range(400)) if partition_of(name) == 5][:6]
    profiles = {name: learned(make, name, "tar", *["sh"] * number) for number, name in enumerate(names)}
    await (await claim(store, 5)).save(profiles, profiles.keys())
    services = Services(bus, store, Vectors(bus), LIMITS, RULE, Guarding(rules="off"))
    partition = Partition(5, services, await claim(store, 5))
    filling = asyncio.ensure_future(fill(lambda: [partition], 1))
    try:
        await until(lambda: len(partition.roster.resting) == len(names))
        events = [make([program], image=name) for name in names for program in ("tar", "evil")]
        batch = wire.EventBatch(events=events)
        await partition._present(batch)
        assert sorted(partition.profiles) == sorted(names)
        work = partition.apply(events, 7)
    finally:
        filling.cancel()
    assert [anomaly.event.process.argv for anomaly in work.anomalies] == [["evil"]] * len(names)
    assert not work.parked
    assert partition.roster.names() == set(names)


async def test_a_former_owner_takes_no_dropped_snapshot_for_damage(roster, store, caplog):
    """He learns that he is fenced, and says nothing of a profile that starts anew."""
    owner = Roster(5, await claim(store, 5), LIMITS, RULE)
    for _ in range(2):
        (await owner.get(BUSY)).dirty = True
        await saved(owner)
    with pytest.raises(Fenced):
        await roster.get(BUSY)
    assert roster._tenure.fenced.is_set()
    assert BUSY in roster.waiting
    assert "refused" not in caplog.text

# SPDX-License-Identifier: Apache-2.0
"""Several profilers on one broker: one owner a partition, and no trace of who was killed or held up."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys

import msgspec
import pytest

from habitus import asking, subjects
from habitus.events import File
from habitus.images import PARTITIONS, partition_of
from habitus.profiles import ProfileReply, ProfileRequest
from habitus.publish import EventPublisher
from habitus.service import ServiceFault
from habitus_profiler import report, snapshot
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.judgement import Limits
from habitus_profiler.profile import Profile
from habitus_profiler.replicas import fair_share, partitions_of
from habitus_profiler.seat import _seconds
from habitus_profiler.store import Store
from habitus_profiler.tenure import claim

ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))
"""How often a replica is killed; the suite is content with a few."""

WINDOW_S = 1e9
"""Nobody turns to detect by himself: all events are to be learned."""

IMAGES = ["webapp:v1", "shop:2", "queue:7.1", "mail@sha256:" + "a" * 64]


class Replica:
    """One profiler process among others."""

    def __init__(self, server, log):
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "habitus_profiler"],
                env=server.environment
                | {
                    "HABITUS_PROFILER_SNAPSHOT_S": "0.2",
                    "HABITUS_PROFILER_WINDOW_S": str(WINDOW_S),
                    "HABITUS_PROFILER_GUARD": "off",  # no scorer is there to wait for
                },
                stderr=out,
            )

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        self.process.kill()
        self.process.wait(10)

    def said(self):
        return self.log.read_text()


async def owner_of(bus, partition):
    """The name of the replica that owns a partition, None if nobody answers."""
    with contextlib.suppress(TimeoutError):
        return (await bus.request(subjects.profile("owner", partition), b"", 0.5)).decode() or None


async def until(holds, replicas=()):
    async with asyncio.timeout(30):
        while not await holds():
            for replica in replicas:
                assert replica.process.poll() is None, replica.said()
            await asyncio.sleep(0.05)


async def ask(bus, operation, image, **fields):
    return await asking.ask(bus, operation, partition_of(image), ProfileRequest(**fields), 40)


@pytest.fixture
def replicas(server, tmp_path):
    """Start further replicas; each has a log of its own."""
    started = []

    def start():
        started.append(Replica(server, tmp_path / f"replica-{len(started)}.log"))
        return started[-1]

    yield start
    for replica in started:
        replica.end()
        assert not re.search(r"Traceback", replica.said()), replica.said()


def some_work(make, number, image):
    stamp = 1_764_000_000 + number
    return [
        make(["java", "-jar", "/app/app.jar", f"--run-id={stamp}"], image=image),
        make(["tar", "czf", f"/backup/db-{stamp}.tar.gz", "/data"], image=image),
        make([f"task-{'abcdefgh'[number % 8]}", "--all"], image=image),
    ]


def without_faults(events, image, vector_of):
    """What one profile learns of these events when nothing ever goes wrong."""
    profile = Profile(image, partition_of(image), Limits(64, 256, None), Learning(Rule(WINDOW_S, 0, 100)))
    for event in events:
        profile.learn(event)
    for leaf, text in profile.pending():
        profile.resolve(leaf, text, vector_of(text), 0.65)
    return report.detail(profile, 200)


class Load:
    """Publishes work of every image without a pause, until it is told to stop."""

    def __init__(self, bus, make):
        self.make = make
        self.publisher = EventPublisher(bus, "n1", batch_events=7)
        self.events = {image: [] for image in IMAGES}
        self.stop = False

    async def run(self):
        number = 0
        while not self.stop:
            for image in IMAGES:
                for event in some_work(self.make, number, image):
                    self.publisher.add(event)
                    self.events[image].append(event)
            await self.publisher.flush()
            number += 1
            await asyncio.sleep(0.03)
        return self.publisher.last_sequence


async def ballast(bus, make):
    """Give the partitions of IMAGES profiles that are loaded before theirs, so that events come first."""
    store = await Store.open(bus, 1)
    for image in IMAGES:
        heavy = Profile(image, partition_of(image), Limits(64, 256, None), Learning(Rule(WINDOW_S, 0, 100)))
        for number in range(1500):
            folder, name = (
                "".join(chr(97 + int(digit)) for digit in str(at)) for at in (number % 60, number)
            )
            file = File(path=f"/srv/{folder}/{name}x.dat", flags=["read"])
            heavy.learn(msgspec.structs.replace(make(["sh"]), class_="file", op="open", file=file))
        names = [name for name in (f"ballast-{n}:1" for n in range(1600)) if same_partition(name, image)]
        profiles = {}
        for name in names:
            profiles[name] = snapshot.parsed(
                snapshot.sealed(heavy, ""), heavy.limits, heavy.learning.rule, ""
            )
            profiles[name].image_key, profiles[name].dirty = name, True
        tenure = await claim(store, partition_of(image))
        await tenure.save(profiles, profiles.keys())
    return names, report.detail(heavy, 200).tries


def same_partition(one, other):
    return partition_of(one) == partition_of(other)


async def test_killed_and_held_up_again_and_again_the_profile_is_the_one_without_faults(
    bus, embedder, make, vector_of, replicas
):
    """kill -9 of owners under load, then one that sleeps past its pin: no event twice, none lost.

    Events come before most profiles are loaded.
    """
    bystanders, unchanged = await ballast(bus, make)
    pair = [replicas(), replicas()]
    load = Load(bus, make)
    feeding = asyncio.ensure_future(load.run())
    partition = partition_of(IMAGES[0])

    async def shared():
        owners = [await owner_of(bus, number) for number in range(PARTITIONS)]
        return None not in owners and len(set(owners)) == 2

    await until(shared, pair)
    for _ in range(ROUNDS):
        await taken_over(bus, partition, pair, lambda replica: replica.signal(signal.SIGKILL))
        pair = [each for each in pair if each.process.poll() is None]
        pair.append(replicas())
    held_up = await taken_over(bus, partition, pair, lambda replica: replica.signal(signal.SIGSTOP))
    held_up.signal(signal.SIGCONT)
    await until(said(held_up, "standing by"))
    load.stop = True
    after = await feeding
    for image in IMAGES:
        reply = await ask(bus, "converge", image, after=after[partition_of(image)])
        assert reply.error is None
        shown = (await ask(bus, "show", image, image_key=image)).detail
        wanted = without_faults(load.events[image], image, vector_of)
        assert shown.summary.convergence.events == len(load.events[image])
        assert shown.tries == wanted.tries
    summaries = (await ask(bus, "list", IMAGES[-1])).summaries
    assert sorted(each.image_key for each in summaries) == sorted([*bystanders, IMAGES[-1]])
    shown = (await ask(bus, "show", IMAGES[-1], image_key=bystanders[-1])).detail
    assert shown.tries == unchanged


def said(replica, words):
    async def holds():
        return words in replica.said()

    return holds


async def taken_over(bus, partition, pair, strike):
    """Strike the owner of a partition and wait until another owns it; return who was struck."""
    before = None
    while before is None:
        before = await owner_of(bus, partition)
    struck = next(each for each in pair if f"named {before}" in each.said())
    strike(struck)

    async def another():
        return await owner_of(bus, partition) not in {None, before}

    await until(another)
    return struck


async def test_who_asks_an_owner_that_is_held_up_is_answered_by_the_next(bus, embedder, make, replicas):
    """What must not be done twice is not asked again: a person is told to look."""
    pair = [replicas(), replicas()]
    partition = partition_of(IMAGES[0])

    async def owned():
        owners = [await owner_of(bus, number) for number in range(PARTITIONS)]
        return None not in owners and len(set(owners)) == 2

    await until(owned, pair)
    publisher = EventPublisher(bus, "n1")
    for event in some_work(make, 1, IMAGES[0]):
        publisher.add(event)
    await publisher.flush()
    after = max(publisher.last_sequence.values())
    await ask(bus, "sync", IMAGES[0], after=after)
    asked = []

    def strike(replica):
        replica.signal(signal.SIGSTOP)
        asked.append(asyncio.ensure_future(ask(bus, "sync", IMAGES[0], after=after)))
        asked.append(asyncio.ensure_future(ask(bus, "relearn", IMAGES[0], image_key=IMAGES[0])))

    held_up = await taken_over(bus, partition, pair, strike)
    held_up.signal(signal.SIGCONT)
    synced, changed = await asyncio.gather(*asked, return_exceptions=True)
    assert synced == ProfileReply()
    [summary] = (await ask(bus, "list", IMAGES[0])).summaries
    assert summary.convergence.events == 3
    assert str(changed) == f"partition {partition} changed hands: see whether it was done, then ask again"


async def test_one_that_stops_gives_its_partitions_away_at_once(bus, embedder, make, replicas):
    """SIGTERM: what was learned is kept, nothing waits for a redelivery."""
    first = replicas()
    await until(said(first, "ready"))
    second = replicas()
    await until(said(second, "ready"))
    publisher = EventPublisher(bus, "n1")
    for event in some_work(make, 1, IMAGES[0]):
        publisher.add(event)
    await publisher.flush()
    await ask(bus, "sync", IMAGES[0], after=max(publisher.last_sequence.values()))
    first.signal(signal.SIGTERM)
    assert first.process.wait(20) == 0
    partition = partition_of(IMAGES[0])

    async def owned():
        return await owner_of(bus, partition) is not None

    await until(owned)
    [summary] = (await ask(bus, "list", IMAGES[0])).summaries
    assert summary.convergence.events == 3


def test_a_fair_share_counts_the_replicas_of_each_partition():
    """Replicas that serve other partitions take nothing away."""
    everything = partitions_of("0-31")
    assert fair_share(everything, []) == 32
    assert fair_share(everything, [everything]) == 16
    assert fair_share(everything, [everything, everything]) == 11
    assert fair_share(partitions_of("0-15"), [partitions_of("16-31")]) == 16
    assert fair_share(everything, [partitions_of("0-7")]) == 28
    assert fair_share([3], [[3], [3], [3]]) == 1


def test_partitions_are_named_by_numbers_and_ranges():
    """`0,3,5-7`; anything else is refused with the key."""
    assert partitions_of("0,3,5-7") == [0, 3, 5, 6, 7]
    for wrong in ("", "a", "0-32", "-1", "3-"):
        with pytest.raises(ServiceFault, match=r"profiler\.partitions"):
            partitions_of(wrong)


def test_the_broker_s_timestamps_are_compared_by_its_own_clock():
    """Nine digits, or none at all."""
    assert _seconds("2026-11-24T21:00:00.123456789Z", "2026-11-24T21:00:01Z") == pytest.approx(0.876544)

# SPDX-License-Identifier: Apache-2.0
"""The way out on a real broker that goes, hangs and comes back."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict

import pytest

from habitus import subjects, wire
from habitus.events import Container, Event, Process
from habitus.images import image_key, partition_of
from habitus.publish import Batcher
from habitus_collector import outlet as ways
from habitus_collector.backlog import Kept
from habitus_collector.losses import Losses
from habitus_collector.outlet import Outlet
from habitus_collector.spool import Spool

MIB = 1 << 20
IMAGES = ("webapp:v1", "db:16")


def event_of(number, image=IMAGES[0], class_="process"):
    return Event(
        ts=number + 1,
        class_=class_,
        op="exec",
        container=Container(image=image),
        process=Process(pid=number, argv=["/bin/true", str(number)]),
    )


class Way:
    """An outlet with all that it needs, running."""

    def __init__(self, bus, backlog, batch_events=20):
        self.backlog = backlog
        self.losses = Losses("n1")
        self.outlet = Outlet(bus, Batcher("n1", batch_events), backlog, self.losses)
        self.task = asyncio.ensure_future(self.outlet.run())

    def add(self, numbers, image=IMAGES[0]):
        for number in numbers:
            self.outlet.add(event_of(number, image))

    async def idle(self, timeout=30):  # noqa: ASYNC109
        deadline = time.monotonic() + timeout
        while self.outlet.queued or self.backlog:
            assert time.monotonic() < deadline, (self.outlet.queued, self.backlog.size)
            await asyncio.sleep(0.02)


@pytest.fixture
async def way(bus, tmp_path):
    made = []

    def one(backlog=None, **more):
        made.append(Way(bus, Spool(tmp_path / "spool", 64 * MIB) if backlog is None else backlog, **more))
        return made[-1]

    yield one
    for each in made:
        each.task.cancel()
        each.backlog.close()


async def stored(bus):
    """Return all batches in EVENTS by partition, in the order of the stream."""
    reader = await bus.js.pull_subscribe("habitus.events.>", durable="reader")
    count = (await bus.js.stream_info(subjects.EVENTS)).state.messages
    found = defaultdict(list)
    while count:
        for message in await reader.fetch(min(count, 200), timeout=5):
            partition = int(message.subject.rpartition(".")[2])
            found[partition].append(wire.decode(wire.EventBatch, message.data))
            await message.ack()
            count -= 1
    return found


async def numbers_of(bus, image=IMAGES[0]):
    """Return the pids of an image's events in the order of the stream; each id must be there once."""
    events = [
        event for batches in (await stored(bus)).values() for batch in batches for event in batch.events
    ]
    assert len({event.id for event in events}) == len(events)
    return [event.process.pid for event in events if event.container.image == image]


async def connected(bus, *, there):
    async with asyncio.timeout(20):
        while bus.nc.is_connected != there:  # noqa: ASYNC110  # the client tells nobody
            await asyncio.sleep(0.01)


async def gone(bus):
    await connected(bus, there=False)


async def test_events_go_in_batches_and_in_order(bus, way):
    out = way()
    out.add(range(500))
    await out.idle()

    assert out.outlet.events == {"process": 500}
    messages = (await bus.js.stream_info(subjects.EVENTS)).state.messages
    assert messages == 25
    assert await numbers_of(bus) == list(range(500))
    assert out.outlet.waiting_since is None


async def test_what_comes_while_the_broker_is_away_comes_later_in_order_and_once(nats_server, bus, way):
    out = way()
    out.add(range(100))
    await out.idle()
    out.add(range(100, 150))
    await asyncio.sleep(0)  # under way when the broker goes
    nats_server.stop(kill=True)
    await gone(bus)
    for first in range(150, 3000, 50):
        out.add(range(first, first + 50))
        await asyncio.sleep(0.002)
    out.add(range(5000), image=IMAGES[1])
    await asyncio.sleep(0.3)
    assert out.outlet.queued == 0
    assert out.outlet.spooled > 100_000
    assert time.time_ns() - out.outlet.waiting_since < 30e9
    nats_server.start()
    await asyncio.sleep(0.2)
    out.add(range(3000, 3100))  # newer ones, while older ones are still on their way
    await out.idle()

    assert out.outlet.spooled == 0
    by_image = {image: await numbers_of(bus, image) for image in IMAGES[:1]}
    assert by_image[IMAGES[0]] == list(range(3100))
    assert not out.losses.total


async def test_a_broker_that_hangs_costs_no_memory_and_no_event(nats_server, bus, way, monkeypatch):
    monkeypatch.setattr(ways, "QUEUE_LIMIT", 5000)
    out = way()
    nats_server.process.send_signal(signal.SIGSTOP)
    try:
        for first in range(0, 20_000, 100):
            out.add(range(first, first + 100))
            await asyncio.sleep(0.01)
        assert out.outlet.queued <= 5000
    finally:
        nats_server.process.send_signal(signal.SIGCONT)
    await out.idle(60)

    assert not out.losses.total
    assert await numbers_of(bus) == list(range(20_000))


async def test_without_a_disk_memory_is_bounded_and_the_rest_is_counted_by_image(
    nats_server, bus, way, monkeypatch
):
    monkeypatch.setattr(ways, "QUEUE_LIMIT", 300)
    out = way(Kept())
    nats_server.stop()
    await gone(bus)
    out.add(range(200))
    await asyncio.sleep(0.1)
    out.add(range(200, 250))
    await asyncio.sleep(0.1)
    out.add(range(250), image=IMAGES[1])
    assert out.outlet.queued == 300
    assert out.losses.total == {"process": 200}
    nats_server.start()
    await out.idle()
    out.outlet.lost(out.losses.notices({}, IMAGES))
    await asyncio.sleep(0.3)

    found = await stored(bus)
    (loss,) = [loss for batches in found.values() for batch in batches for loss in batch.losses]
    assert (loss.image, loss.class_, loss.count, loss.node) == (IMAGES[1], "process", 200, "n1")
    assert 0 < loss.since <= loss.until <= time.time_ns()
    assert sum(len(batch.events) for batches in found.values() for batch in batches) == 300


async def test_a_full_spool_counts_what_it_refuses_and_tells_whose_it_was(nats_server, bus, way, tmp_path):
    out = way(Spool(tmp_path / "small", 20_000))
    nats_server.stop()
    await gone(bus)
    for first in range(0, 1000, 20):
        out.add(range(first, first + 20), image=IMAGES[first // 20 % 2])
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.2)
    out.outlet.lost(out.losses.notices({}, IMAGES))  # the notices have no room either
    await asyncio.sleep(0.2)
    nats_server.start()
    await out.idle()
    out.outlet.lost(out.losses.notices({}, IMAGES))
    await asyncio.sleep(0.3)

    found = await stored(bus)
    batches = [batch for each in found.values() for batch in each]
    came = Counter(event.container.image for batch in batches for event in batch.events)
    lost = Counter()
    for batch in batches:
        lost.update({loss.image: loss.count for loss in batch.losses})
    assert 0 < out.losses.total["process"] < 1000
    assert {image: came[image] + lost[image] for image in IMAGES} == dict.fromkeys(IMAGES, 500)
    for partition, each in found.items():
        told = {loss.image for batch in each for loss in batch.losses}
        assert {partition_of(image_key(image)) for image in told} <= {partition}


async def test_events_too_large_for_one_message_are_split_and_an_impossible_one_is_left_out(bus, way, caplog):
    out = way(batch_events=200)
    for number in range(100):
        event = event_of(number)
        event.process.argv = ["x" * 16_000]
        out.outlet.add(event)
    huge = event_of(1000)
    huge.process.argv = ["x" * (2 * MIB)]
    out.outlet.add(huge)
    await out.idle()

    assert await numbers_of(bus) == list(range(100))
    assert len([record for record in caplog.records if "more than a message holds" in record.message]) == 1
    assert out.losses.total == {"process": 1}


async def test_the_end_leaves_on_disk_what_the_broker_does_not_take(nats_server, bus, tmp_path):
    first = Way(bus, Spool(tmp_path / "spool", MIB))
    nats_server.stop()
    await gone(bus)
    first.add(range(100))
    first.task.cancel()
    await asyncio.gather(first.task, return_exceptions=True)
    await first.outlet.finish(0.2)
    first.backlog.close()
    nats_server.start()
    second = Way(bus, Spool(tmp_path / "spool", MIB))
    second.add(range(100, 200))
    await second.idle()

    assert await numbers_of(bus) == list(range(200))
    second.task.cancel()
    second.backlog.close()


async def test_told_to_stop_in_the_middle_of_a_send_it_loses_nothing(nats_server, bus, tmp_path):
    out = Way(bus, Spool(tmp_path / "spool", MIB))
    nats_server.process.send_signal(signal.SIGSTOP)
    out.add(range(100))
    await asyncio.sleep(0.05)
    out.task.cancel()
    await asyncio.gather(out.task, return_exceptions=True)
    nats_server.process.send_signal(signal.SIGCONT)
    await out.outlet.finish(5)

    assert await numbers_of(bus) == list(range(100))
    out.backlog.close()


_COLLECTOR = """
import asyncio, sys
from pathlib import Path
from habitus.bus import Bus
from habitus.events import Container, Event, Process
from habitus.publish import Batcher
from habitus.settings import load
from habitus_collector.losses import Losses
from habitus_collector.outlet import Outlet
from habitus_collector.spool import Spool

async def main():
    async with Bus(load().nats, "collector") as bus:
        spool = Spool(Path(sys.argv[1]), 1 << 28)
        outlet = Outlet(bus, Batcher("n1", 50), spool, Losses("n1"))
        asyncio.ensure_future(outlet.run())
        number = int(sys.argv[2])
        while True:
            for _ in range(100):
                outlet.add(Event(ts=number + 1, class_="process", op="exec",
                                 container=Container(image="webapp:v1"), process=Process(pid=number)))
                number += 1
            await asyncio.sleep(0.01)
            print(number, outlet.queued, outlet.spooled, flush=True)

asyncio.run(main())
"""


async def test_killed_again_and_again_with_the_broker_going_and_coming_no_id_comes_twice(
    nats_server, bus, tmp_path
):
    """What was on disk at a kill is delivered by the next run; nothing is stored twice."""
    spool = tmp_path / "spool"
    on_disk = []
    for run in range(4):
        first = run * 10**6
        with subprocess.Popen(  # noqa: ASYNC220  # starts at once
            [sys.executable, "-c", _COLLECTOR, str(spool), str(first)],
            env=nats_server.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            for line in child.stdout:
                number, _queued, spooled = map(int, line.split())
                if number - first == 2000:
                    await asyncio.to_thread(nats_server.stop, kill=True)
                if number - first >= 8000 and spooled:
                    on_disk.append(range(first + 3000, first + 7000))
                    break
            child.kill()
            child.stdout.close()
            said = child.stderr.read()
            assert "Traceback" not in said, said
        await asyncio.to_thread(nats_server.start)
    with contextlib.closing(Spool(spool, 1 << 28)) as left:
        assert left
    await connected(bus, there=True)
    last = Way(bus, Spool(spool, 1 << 28))
    await last.idle()
    last.task.cancel()
    last.backlog.close()

    events = [
        event for batches in (await stored(bus)).values() for batch in batches for event in batch.events
    ]
    assert len({event.id for event in events}) == len(events)
    assert all(re.fullmatch(r"n1-[0-9a-f]{16}-\d+", event.id) for event in events)
    came = Counter(event.process.pid for event in events)
    assert max(came.values()) == 1
    for numbers in on_disk:
        assert all(number in came for number in numbers)

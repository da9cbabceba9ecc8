# SPDX-License-Identifier: Apache-2.0
"""More than the collector can take, and a collector that is killed while it takes it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from habitus import subjects, wire
from habitus.anomalies import Anomaly
from habitus_line import Line
from habitus_testing import eventually

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

FILES = 100_000
STORM = f"""
import os
for number in range({FILES}):
    path = "/dev/shm/habitus-storm-%d" % number
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.unlink(path)
"""
"""At least two events a file."""


@pytest.fixture
def line(bus, serve, new_container, objects):
    return Line(bus, serve, new_container, objects)


class Heard:
    """What crossed the bus: counts, not the events themselves."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.losses: list[wire.Loss] = []
        self.blind: list[Anomaly] = []
        self.execs: dict[str, float] = {}

    async def listen(self, bus) -> None:
        await bus.nc.subscribe("habitus.events.>", cb=self._batch)
        await bus.nc.subscribe("habitus.anomalies.*", cb=self._anomaly)
        await bus.nc.flush()

    async def _batch(self, message) -> None:
        batch = wire.decode(wire.EventBatch, message.data)
        self.events.update(event.class_ for event in batch.events)
        self.losses += batch.losses
        for event in batch.events:
            if event.op == "exec":
                self.execs[event.process.argv[-1]] = (time.time_ns() - event.ts) / 1e6

    async def _anomaly(self, message) -> None:
        anomaly = wire.decode(Anomaly, message.data)
        if anomaly.reason == "blind-interval":
            self.blind.append(anomaly)


async def test_a_storm_is_counted_told_and_over_within_a_second(line):
    line.start(HABITUS_COLLECTOR_SENSORS="process,file", HABITUS_COLLECTOR_RING_MB="0.0625")
    await line.learn()
    heard = Heard()
    await heard.listen(line.bus)
    began = time.monotonic()
    _, status = await asyncio.to_thread(
        line.container.run, [sys.executable.encode(), b"-c", STORM.encode()], env={b"PYTHONHASHSEED": b"0"}
    )
    took = time.monotonic() - began
    assert status == 0
    await asyncio.to_thread(line.container.run, [b"/bin/true", b"after the storm"])
    await eventually(lambda: "after the storm" in heard.execs)
    await eventually(lambda: heard.blind)
    await asyncio.sleep(3)
    lost = (await line.status()).lost
    sys.stdout.write(
        f"{FILES} files in {took:.1f} s; came {dict(heard.events)}, lost {lost}; "
        f"an exec right after was on the bus in {heard.execs['after the storm']:.1f} ms\n"
    )

    assert heard.execs["after the storm"] < 1000
    assert lost["file"] > 0
    told = Counter()
    for loss in heard.losses:
        assert loss.since <= loss.until
        assert loss.node == "n.1"
        if loss.image == line.key:
            told[loss.class_] += loss.count
    assert told == lost
    assert heard.events["file"] + lost["file"] >= 2 * FILES
    assert {anomaly.image_key for anomaly in heard.blind} >= {line.key}
    assert all(anomaly.event.lost.counts for anomaly in heard.blind)


async def test_killed_again_and_again_under_load_no_event_has_the_id_of_another(line, bus):
    line.serve("embedder", HABITUS_EMBEDDER_PORT="0")
    load = b"while :; do /bin/true; /bin/true again; done"
    pid, _ = line.container.run([b"/bin/sh", b"-c", load], wait=False)
    ids: Counter[str] = Counter()
    runs = set()

    async def note(message) -> None:
        for event in wire.decode(wire.EventBatch, message.data).events:
            ids[event.id] += 1
            runs.add(event.id.rpartition("-")[0])

    reader = await bus.nc.subscribe("habitus.events.>", cb=note)
    try:
        for _ in range(5):
            collector = await asyncio.to_thread(line.start_collector)
            count = len(ids)
            await eventually(lambda count=count: len(ids) > count + 200)
            collector.child.send_signal(signal.SIGKILL)
            await asyncio.to_thread(collector.child.wait)
    finally:
        subprocess.run(["kill", "-9", str(pid)], check=True)  # noqa: ASYNC221  # at once
        await asyncio.to_thread(os.waitpid, pid, 0)
    await bus.nc.flush()
    await reader.unsubscribe()

    assert len(runs) == 5
    assert max(ids.values()) == 1
    state = (await bus.js.stream_info(subjects.EVENTS)).state
    sys.stdout.write(f"{len(ids)} events of 5 runs in {state.messages} messages, no id twice\n")

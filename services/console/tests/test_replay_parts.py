# SPDX-License-Identifier: Apache-2.0
import asyncio
from pathlib import Path

import pytest

from habitus import subjects, wire
from habitus_console import results
from habitus_console.feed import event_id, feed, line_of
from habitus_console.replay import alerts_path

GOOD = b'{"ts":1,"class":"process","op":"exec","container":{"image":"a:1"},"process":{"pid":1}}\n'


@pytest.mark.parametrize(("out", "alerts"), [("o.jsonl", "o.alerts.jsonl"), ("o", "o.alerts.jsonl")])
def test_alerts_go_beside_the_verdicts(out, alerts):
    assert alerts_path(Path("/x") / out) == Path("/x") / alerts


def test_a_line_is_found_again_by_its_event_id():
    assert line_of("detect", event_id("detect", 17)) == 17
    assert line_of("learn", event_id("detect", 17)) is None
    assert line_of("detect", "n1-3f-detect") is None


async def test_feeding_keeps_line_numbers_and_reports_bad_lines(bus, tmp_path):
    file = tmp_path / "f.jsonl"
    file.write_bytes(GOOD + b"\n" + b"{bad\n" + GOOD)
    said: list[str] = []
    read: list[int] = []
    fed = await feed(bus, file, "detect", said.append, read.append)
    assert (fed.lines, fed.bad) == ([1, 4], 1)
    assert said[0].startswith("f.jsonl:3: ")
    assert sum(read) == file.stat().st_size
    stored = [wire.decode(wire.EventBatch, data) async for data in results.stored(bus, subjects.ANOMALIES)]
    assert stored == []
    assert (await bus.js.stream_info(subjects.EVENTS)).state.messages == 1


async def test_everything_stored_is_read_in_order(bus):
    for number in range(1200):
        await bus.nc.publish(subjects.scores(0), str(number).encode())
    await bus.nc.flush()
    while (await bus.js.stream_info(subjects.SCORES)).state.messages < 1200:
        pass
    assert [int(data) async for data in results.stored(bus, subjects.SCORES)] == list(range(1200))


async def test_a_parked_anomaly_is_not_waited_for(bus):
    await bus.js.publish(subjects.anomalies(1), b"rubbish")
    reader = await bus.js.pull_subscribe("habitus.anomalies.>", durable="scorer")
    (message,) = await reader.fetch(1)
    await bus.park(subjects.ANOMALIES, message, "not msgpack")
    seen: list[tuple[int, int]] = []
    async with asyncio.timeout(5):
        assert await results.scored(bus, lambda done, there: seen.append((done, there))) == []
    assert seen == [(1, 1)]

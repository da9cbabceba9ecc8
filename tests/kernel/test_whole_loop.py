# SPDX-License-Identifier: Apache-2.0
"""The verdict cache from end to end: kernel → collector → profiler → collector → kernel, as processes."""

import asyncio
import sys
import time

import pytest

from habitus import wire
from habitus.anomalies import Anomaly
from habitus_line import WORK, Line

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

KNOWN = 500


@pytest.fixture
def line(bus, serve, new_container, objects):
    return Line(bus, serve, new_container, objects)


async def test_known_work_stays_in_the_kernel_and_news_comes_at_once(line):
    line.start(HABITUS_COLLECTOR_SENSORS="process,file,network,uring")  # `cpu` is no habit: it is told
    await line.learn()
    rounds = await line.quiet()
    await asyncio.sleep(2.2)
    before, known = await line.published(), (await line.status()).known["process"]
    await line.work(KNOWN // len(WORK) + 1)
    await asyncio.sleep(2.5)
    status = await line.status()
    crossed = await line.published() - before
    sys.stdout.write(
        f"quiet after {rounds} rounds; {status.known['process'] - known} held, {crossed} batches crossed\n"
    )
    assert crossed == 0
    assert status.known["process"] - known >= KNOWN
    assert status.cached_images == 1
    assert not status.lost

    anomalies = await line.bus.nc.subscribe("habitus.anomalies.*")
    waits = []
    for number in range(20):
        await asyncio.to_thread(line.container.run, [b"/usr/bin/stat", b"/%d" % number, b"/"])
        event = None
        while event is None or event.op != "exec":  # its files are news as well
            event = wire.decode(Anomaly, (await anomalies.next_msg(timeout=5)).data).event
        waits.append((time.time_ns() - event.ts) / 1e6)
        assert (event.process.exe, event.process.argv[1]) == ("/usr/bin/stat", f"/{number}")
    waits.sort()
    sys.stdout.write(f"exec → anomaly: p50 {waits[10]:.1f} ms, highest {waits[-1]:.1f} ms\n")
    assert waits[10] < 50


async def test_a_new_revision_lets_known_work_through_until_it_is_known_again(line):
    line.start()
    await line.learn()
    await line.quiet()
    revision = (await line.ask("list")).summaries[0].revision
    line.profiler.kill()
    line.profiler = line.start_profiler()
    before = await line.published()
    deadline = time.monotonic() + 15
    while await line.published() == before:
        assert time.monotonic() < deadline, line.collector.said
        await line.work()
        await asyncio.sleep(0.2)

    assert (await line.ask("list")).summaries[0].revision > revision
    await line.quiet()


async def test_without_a_profiler_the_lease_ends_and_everything_is_sent_again(line):
    line.start()
    await line.learn()
    await line.quiet()
    await line.caching(1)
    line.profiler.kill()
    before = await line.published()
    await line.work()
    await asyncio.sleep(0.3)
    assert await line.published() == before, "what was known is known while the lease lasts"
    await line.caching(0)
    await line.work()
    await asyncio.sleep(0.5)

    assert await line.published() > before


async def test_switched_off_everything_crosses(line):
    line.start(HABITUS_COLLECTOR_VERDICT_CACHE="false")
    await line.learn()
    await asyncio.sleep(2.5)
    before = await line.published()
    await line.work()
    await asyncio.sleep(0.3)
    first = await line.published()
    await line.work()
    await asyncio.sleep(0.3)

    assert before < first < await line.published()
    await asyncio.sleep(2.2)
    status = await line.status()
    assert (status.known, status.cached_images) == ({}, 0)
    assert (status.queued, status.spooled, status.waiting_s) == (0, 0, 0)
    assert 0 <= status.ring < 1

# SPDX-License-Identifier: Apache-2.0
"""The parts of the collector that run side by side."""

import asyncio
import threading
import time

import pytest

from habitus import plugins, settings, subjects, wire
from habitus.bus import Bus
from habitus.nodes import NodeStatus
from habitus.service import Service, ServiceFault
from habitus_collector.__main__ import _beside, run
from habitus_collector.loaders.replay import ReplayLoader


async def breaks():
    await asyncio.sleep(0)
    raise KeyError("x")


async def goes_on():
    await asyncio.Event().wait()


async def returns():
    pass


async def test_a_part_that_fails_stops_the_collector_and_is_named():
    stop = asyncio.Event()
    with pytest.raises(ServiceFault, match="stopped: KeyError"):
        async with _beside([goes_on(), breaks()], stop):
            await asyncio.wait_for(stop.wait(), 5)


async def test_a_part_that_is_done_stops_nothing():
    stop = asyncio.Event()
    async with _beside([goes_on(), returns()], stop):
        await asyncio.sleep(0.05)

    assert not stop.is_set()


class SlowToLetGo(ReplayLoader):
    """Brings an event when it is told to stop, and looks at what the broker has when it is to let go."""

    def __init__(self, event, nats):
        self.event, self.nats = event, nats
        self.ended = 0
        self.found = None

    async def run(self, outlet, started, stop):
        started.set()
        await stop.wait()
        outlet.add(self.event)
        self.ended = time.time_ns()

    def close(self):
        # The loop stands still, as it does while a kernel takes its time: ask from another thread.
        asker = threading.Thread(target=lambda: asyncio.run(self._ask()))
        asker.start()
        asker.join()

    async def _ask(self):
        async with Bus(self.nats, "asker") as bus:
            message = await bus.js.get_msg(subjects.EVENTS, seq=1)
            entry = await (await bus.js.key_value(subjects.NODES)).get(subjects.token_of("n.1"))
            self.found = (message, NodeStatus.model_validate_json(entry.value))


async def test_what_was_seen_is_with_the_broker_before_the_kernel_lets_go(
    bus, nats_server, monkeypatch, event_number
):
    loader = SlowToLetGo(event_number(1), nats_server.settings)
    monkeypatch.setattr(plugins, "load", lambda *_: lambda _: loader)
    own = settings.Settings(collector={"node": "n.1", "spool_mb": 0})
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, stop.set)

    await run(Service("collector", own, bus, stop))

    message, status = loader.found
    assert wire.decode(wire.EventBatch, message.data).events[0].process.pid == 1
    assert status.events == {"process": 1}
    # The blind interval begins when the loader ended, and not when its last event was on its way.
    assert loader.ended <= status.updated <= message.time.timestamp() * 1e9

# SPDX-License-Identifier: Apache-2.0
"""The bounded way out."""

import asyncio

from habitus_collector import outlet as ways
from habitus_collector.outlet import BusOutlet


class Publisher:
    """A broker that takes events only while it is there."""

    def __init__(self):
        self.waiting, self.stored, self.there = [], [], asyncio.Event()

    def add(self, event):
        self.waiting.append(event)

    async def flush(self):
        sending, self.waiting = self.waiting, []
        await self.there.wait()
        self.stored += sending


async def test_what_does_not_fit_while_the_broker_is_away_is_counted(event_number, monkeypatch):
    monkeypatch.setattr(ways, "QUEUE_LIMIT", 3)
    publisher = Publisher()
    outlet = BusOutlet(publisher)
    flushing = asyncio.create_task(outlet.run())
    for number in range(5):
        outlet.add(event_number(number))
        await asyncio.sleep(0.005)
    publisher.there.set()
    await outlet.room()
    await asyncio.sleep(0.05)
    flushing.cancel()

    assert [event.ts for event in publisher.stored] == [0, 1, 2]
    assert outlet.lost == {"process": 2}
    assert outlet.events == {"process": 3}

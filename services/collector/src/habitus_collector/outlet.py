# SPDX-License-Identifier: Apache-2.0
"""The way out: queues events for the bus within bounds, and counts what passes and what must go."""

import asyncio
import logging
from collections import Counter
from typing import Final

from habitus.events import Event
from habitus.publish import EventPublisher

log = logging.getLogger(__name__)

QUEUE_LIMIT: Final = 20_000
"""Events in memory at most while the broker is away; about 1 kB each."""


class BusOutlet:
    """Hands events to the publisher and flushes it: batches are what came in one turn of the loop.

    The pause that makes batches of a kernel's events is where they are read (`pump`).
    """

    def __init__(self, publisher: EventPublisher) -> None:
        self._publisher = publisher
        self._queued = 0
        self._wake = asyncio.Event()
        self._sent = asyncio.Event()
        self.events: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def add(self, event: Event) -> None:
        """Queue one event, or count it as lost when too many wait for the broker."""
        if self._queued >= QUEUE_LIMIT:
            self.lost[event.class_] += 1
            return
        self._queued += 1
        self.events[event.class_] += 1
        self._publisher.add(event)
        self._wake.set()

    async def room(self) -> None:
        """Wait until the queue is at most half full."""
        while self._queued > QUEUE_LIMIT // 2:
            self._sent.clear()
            await self._sent.wait()

    async def run(self) -> None:
        """Flush for ever; nothing wakes while no event comes."""
        while True:
            await self._wake.wait()
            await self.flush()

    async def flush(self) -> None:
        """Send all that is queued and return when the broker has it."""
        self._wake.clear()
        sending = self._queued
        await self._publisher.flush()
        self._queued -= sending
        self._sent.set()

# SPDX-License-Identifier: Apache-2.0
"""The way out: events go to the broker in batches; while it takes none they wait on disk, in order.

Once something waits on disk, all that is newer goes behind it, so the order holds. Every batch keeps
its id on all ways, so what the broker has already it does not store again.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

import nats.errors

from habitus import wire
from habitus.bus import Bus
from habitus.events import Event
from habitus.images import image_key
from habitus.publish import FAULTS, Batch, Batcher
from habitus_collector.backlog import Backlog
from habitus_collector.losses import Losses

log = logging.getLogger(__name__)

QUEUE_LIMIT: Final = 20_000
"""Events in memory at most; about 1 kB each."""

_AT_ONCE: Final = 64
_LOOK_S: Final = 0.05
_ANSWER_S: Final = 2.0
_SPILL_S: Final = 0.1
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


class Outlet:
    """Queues events within bounds, and counts what passes and what must go."""

    def __init__(self, bus: Bus, batcher: Batcher, backlog: Backlog, losses: Losses) -> None:
        self._bus = bus
        self._batcher = batcher
        self._backlog = backlog
        self._losses = losses
        self._underway = 0
        self._since = 0
        self._away = False
        self._wake = asyncio.Event()
        self._behind = asyncio.Event()
        self._moved = asyncio.Event()
        if backlog:
            self._behind.set()
        self.events: Counter[str] = Counter()

    @property
    def queued(self) -> int:
        """Events in memory."""
        return self._batcher.pending + self._underway

    @property
    def waiting_since(self) -> int | None:
        """When the oldest batch that is not with the broker came (nanoseconds since the epoch)."""
        return self._backlog.oldest or self._since or None

    @property
    def spooled(self) -> int:
        """Bytes on disk."""
        return self._backlog.size

    def add(self, event: Event) -> None:
        """Queue one event, or count it as lost when too many wait."""
        if self.queued >= QUEUE_LIMIT:
            self._losses.count(_key(event), event.class_, 1)
            return
        self.events[event.class_] += 1
        self._batcher.add(event)
        self._wake.set()

    def lost(self, losses: Sequence[wire.Loss]) -> None:
        """Queue what profilers must know of losses."""
        for loss in losses:
            self._batcher.lost(loss)
        self._wake.set()

    async def room(self) -> None:
        """Wait until little waits: for a source that can wait itself."""
        while self.queued > QUEUE_LIMIT // 2 or self._backlog:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        """Send for ever; nothing wakes while no event comes and none waits."""
        catching_up = asyncio.ensure_future(self._catch_up())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._pass()
        finally:
            catching_up.cancel()

    async def finish(self, seconds: float) -> None:
        """Send what is here, for so long; then leave the rest on disk, or count it."""
        catching_up = asyncio.ensure_future(self._catch_up())
        try:
            async with asyncio.timeout(seconds):
                while self._batcher.some or self._backlog:
                    await self._pass()
                    self._moved.clear()
                    if self._backlog:
                        await self._moved.wait()
        except TimeoutError:
            self._spill(self._taken(QUEUE_LIMIT))
        finally:
            catching_up.cancel()
        if self._backlog:
            where = (
                f"{self.spooled} bytes wait on disk"
                if self._backlog.on_disk
                else f"{self.queued} events are lost"
            )
            log.warning("the broker took not all until the end: %s", where)

    async def _pass(self) -> None:
        self._since = self._since or time.time_ns()
        while self._batcher.some:
            if self._backlog:
                self._spill(self._taken(_AT_ONCE))
                await asyncio.sleep(0)
            else:
                await self._send(self._taken(_AT_ONCE))
        self._since = 0
        self._moved.set()

    def _taken(self, most: int) -> list[Batch]:
        batches = self._batcher.take(most)
        while self._batcher.oversized:
            event = self._batcher.oversized.pop()
            self._losses.count(_key(event), event.class_, 1)
        return batches

    async def _send(self, batches: list[Batch]) -> None:
        """Send side by side. What the broker does not take soon goes to the backlog, in order."""
        self._underway = sum(len(batch.events) for batch in batches)
        tasks = [asyncio.ensure_future(self._stored(batch)) for batch in batches]
        try:
            await self._answered(tasks)
        finally:  # also when this process is told to stop
            kept = [
                batch
                for batch, task in zip(batches, tasks, strict=True)
                if not (task.done() and task.result())
            ]
            for task in tasks:
                task.cancel()
            self._underway = 0
            self._spill(kept)

    async def _answered(self, tasks: Sequence["asyncio.Future[bool]"]) -> None:
        """Wait for all, but neither for a broker that is away nor while memory fills up."""
        began = time.monotonic()
        waiting: set[asyncio.Future[bool]] = set(tasks)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=_LOOK_S)
            waited = time.monotonic() - began
            crowded = self._backlog.on_disk and waited > _SPILL_S and self.queued > QUEUE_LIMIT // 2
            if crowded or waited > _ANSWER_S or not self._bus.nc.is_connected:
                return

    def _spill(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if not self._backlog.append(batch):
                self._lose(batch)
            elif not self._backlog.on_disk:
                self._underway += len(batch.events)
        if self._backlog:
            self._behind.set()

    def _lose(self, batch: Batch) -> None:
        events = batch.events or wire.decode(wire.EventBatch, batch.payload).events
        for (key, class_), count in Counter((_key(event), event.class_) for event in events).items():
            self._losses.count(key, class_, count)
        for loss in batch.losses:
            self._losses.again(loss)

    async def _catch_up(self) -> None:
        """Send the backlog one by one, for ever."""
        pause = _FIRST_PAUSE_S
        while True:
            await self._behind.wait()
            batch = self._backlog.peek()
            if batch is None:
                self._behind.clear()
                self._moved.set()
            elif await self._stored(batch):
                self._backlog.done()
                if not self._backlog.on_disk:
                    self._underway -= len(batch.events)
                pause = _FIRST_PAUSE_S
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _stored(self, batch: Batch) -> bool:
        """Offer a batch once; say whether it is settled."""
        if not self._bus.nc.is_connected:
            return False  # the client would keep it in memory
        try:
            await self._bus.js.publish(batch.subject, batch.payload, timeout=_ANSWER_S, headers=batch.headers)
        except nats.errors.MaxPayloadError:
            log.error("EVENTS: %d bytes are more than the broker takes; left out", len(batch.payload))  # noqa: TRY400
            self._lose(batch)
            return True
        except FAULTS as error:
            self._said(str(error) or type(error).__name__)
            return False
        self._said(None)
        return True

    def _said(self, fault: str | None) -> None:
        if fault and not self._away:
            log.warning("EVENTS takes nothing: %s; trying again", fault)
        if not fault and self._away:
            log.info("EVENTS takes events again")
        self._away = fault is not None


def _key(event: Event) -> str:
    return image_key(event.container.image or "", event.container.image_digest)

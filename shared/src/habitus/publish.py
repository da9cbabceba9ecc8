# SPDX-License-Identifier: Apache-2.0
"""Publishes events: batches by class and partition, by count and by time, each batch once."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import nats.errors
from nats.js.errors import Error as JetStreamError

from habitus import subjects, wire
from habitus.bus import Bus
from habitus.events import Event
from habitus.images import image_key, partition_of

log = logging.getLogger(__name__)

FAULTS: Final = (nats.errors.Error, JetStreamError, TimeoutError, OSError)
"""What a broker that is away, full or in trouble raises."""

HEADERS: Final = 300
"""Bytes of a message left for its headers."""

_LOSSES: Final = "loss"
_LARGEST: Final = (1 << 20) - HEADERS

Place = tuple[str, int]


class Batch(NamedTuple):
    """One message for EVENTS. The broker stores one of each `id`."""

    subject: str
    id: str
    payload: bytes
    events: Sequence[Event] = ()
    losses: Sequence[wire.Loss] = ()

    @property
    def headers(self) -> dict[str, str]:
        """What tells the broker that it has this batch already."""
        return {"Nats-Msg-Id": self.id}


class Batcher:
    """Gathers events by class and partition, gives events and batches their ids, makes the messages."""

    def __init__(self, node: str, batch_events: int = 200, largest: int = _LARGEST) -> None:
        """`largest` bounds a message in bytes; what has no room in one is split over several."""
        self._run = f"{subjects.token_of(node)}-{secrets.token_hex(8)}"
        self._batch_events = batch_events
        self._largest = largest
        self._waiting: dict[Place, list[Event]] = {}
        self._full: deque[tuple[Place, list[Event]]] = deque()
        self._losses: dict[int, list[wire.Loss]] = {}
        self._batches = 0
        self._events = 0
        self._lost = 0
        self.pending = 0
        """Events that wait to be taken."""
        self.oversized: list[Event] = []
        """Events that no message has room for, since somebody last took them from here."""

    @property
    def some(self) -> bool:
        """Whether anything waits to be taken."""
        return bool(self.pending or self._losses)

    def add(self, event: Event) -> None:
        """Take one event, giving it an id if it has none. `container.image` must be set."""
        self._events += 1
        self.pending += 1
        if not event.id:
            event.id = f"{self._run}-{self._events}"
        key = image_key(event.container.image or "", event.container.image_digest)
        place = (event.class_, partition_of(key))
        batch = self._waiting.setdefault(place, [])
        batch.append(event)
        if len(batch) >= self._batch_events:
            self._full.append((place, self._waiting.pop(place)))

    def lost(self, loss: wire.Loss) -> None:
        """Take one loss, giving it an id if it has none; it travels to the partition of its image."""
        self._lost += 1
        loss.id = loss.id or f"{self._run}-l{self._lost}"
        self._losses.setdefault(partition_of(loss.image), []).append(loss)

    def cut(self) -> None:
        """End the batches that wait: what is added later comes in messages after theirs, of any class."""
        self._full.extend(self._waiting.items())
        self._waiting = {}

    def take(self, most: int) -> list[Batch]:
        """Return messages of what waits, in order, and forget it; of more than `most` the rest stays."""
        taken: list[Batch] = []
        while len(taken) < most and (self._full or self._waiting):
            if not self._full:
                self.cut()
            place, events = self._full.popleft()
            self.pending -= len(events)
            taken += self._messages(subjects.events(*place), events)
        if len(taken) < most:
            for partition, losses in self._losses.items():
                payload = wire.encode(wire.EventBatch(events=[], losses=losses))
                taken.append(self._numbered(subjects.events(_LOSSES, partition), payload, losses=losses))
            self._losses = {}
        return taken

    def _messages(self, subject: str, events: list[Event]) -> Iterator[Batch]:
        payload = wire.encode(wire.EventBatch(events=events))
        if len(payload) <= self._largest:
            yield self._numbered(subject, payload, events)
        elif len(events) > 1:
            half = len(events) // 2
            yield from self._messages(subject, events[:half])
            yield from self._messages(subject, events[half:])
        else:
            self.oversized.append(events[0])
            log.error(
                "event %s: %d bytes are more than a message holds; left out", events[0].id, len(payload)
            )

    def _numbered(
        self, subject: str, payload: bytes, events: Sequence[Event] = (), losses: Sequence[wire.Loss] = ()
    ) -> Batch:
        self._batches += 1
        return Batch(subject, f"{self._run}-b{self._batches}", payload, events, losses)


class EventPublisher:
    """Batches events towards EVENTS, for sources that can wait.

    `add` never blocks; `flush` sends what waits. A batch that the broker does not take is sent
    again under the same `Nats-Msg-Id` until it does, so it is stored once.
    """

    def __init__(self, bus: Bus, node: str, batch_events: int = 200) -> None:
        self._bus = bus
        self._batcher = Batcher(node, batch_events)
        self.last_sequence: dict[int, int] = {}
        """partition → the sequence in EVENTS of its newest stored batch."""

    @property
    def pending(self) -> int:
        """Events that wait for a flush."""
        return self._batcher.pending

    def add(self, event: Event) -> None:
        """Queue one event, giving it an id if it has none. `container.image` must be set."""
        self._batcher.add(event)

    def cut(self) -> None:
        """Keep the order over classes: what is added from now on is stored after what waits."""
        self._batcher.cut()

    async def flush(self) -> None:
        """Send all that waits and return when the broker has stored it, in order."""
        batches = self._batcher.take(self._batcher.pending + 1)
        self._batcher.oversized.clear()
        await asyncio.gather(*(self._store(batch) for batch in batches))

    async def _store(self, batch: Batch) -> None:
        pause = 0.1
        while True:
            try:
                ack = await self._bus.js.publish(batch.subject, batch.payload, headers=batch.headers)
            except FAULTS as error:
                log.warning(
                    "EVENTS does not take a batch of %d: %s",
                    len(batch.events),
                    error or type(error).__name__,
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)
                continue
            partition = int(batch.subject.rpartition(".")[2])
            self.last_sequence[partition] = max(ack.seq, self.last_sequence.get(partition, 0))
            return

# SPDX-License-Identifier: Apache-2.0
"""Publishes events: batches by class and partition, by count and by time, each batch once."""

import asyncio
import logging
import secrets
from collections.abc import Sequence

import nats.errors
from nats.js.errors import Error as JetStreamError

from habitus import subjects, wire
from habitus.bus import Bus
from habitus.events import Event
from habitus.images import image_key, partition_of

log = logging.getLogger(__name__)


class EventPublisher:
    """Batches events towards EVENTS.

    `add` never blocks; `flush` sends what waits. A batch that the broker does not take is sent
    again under the same `Nats-Msg-Id` until it does, so it is stored once.
    """

    def __init__(self, bus: Bus, node: str, batch_events: int = 200) -> None:
        self._bus = bus
        self._run = f"{node}-{secrets.token_hex(4)}"
        self._batch_events = batch_events
        self._waiting: dict[tuple[str, int], list[Event]] = {}
        self._full: list[tuple[tuple[str, int], list[Event]]] = []
        self._batches = 0
        self._events = 0
        self.last_sequence: dict[int, int] = {}
        """partition → the sequence in EVENTS of its newest stored batch."""

    @property
    def pending(self) -> int:
        """Events that wait for a flush."""
        return sum(map(len, self._waiting.values())) + sum(len(batch) for _, batch in self._full)

    def add(self, event: Event) -> None:
        """Queue one event, giving it an id if it has none. `container.image` must be set."""
        self._events += 1
        if not event.id:
            event.id = f"{self._run}-{self._events}"
        key = image_key(event.container.image or "", event.container.image_digest)
        place = (event.class_, partition_of(key))
        batch = self._waiting.setdefault(place, [])
        batch.append(event)
        if len(batch) >= self._batch_events:
            self._full.append((place, self._waiting.pop(place)))

    async def flush(self) -> None:
        """Send all that waits and return when the broker has stored it, in order."""
        batches = self._full + list(self._waiting.items())
        self._full, self._waiting = [], {}
        numbered = []
        for place, events in batches:
            self._batches += 1
            numbered.append((place, f"{self._run}-b{self._batches}", events))
        await asyncio.gather(*(self._store(*batch) for batch in numbered))

    async def _store(self, place: tuple[str, int], message_id: str, events: Sequence[Event]) -> None:
        event_class, partition = place
        payload = wire.encode(wire.EventBatch(events=list(events)))
        pause = 0.1
        while True:
            try:
                ack = await self._bus.js.publish(
                    subjects.events(event_class, partition),
                    payload,
                    headers={"Nats-Msg-Id": message_id},
                )
            except (nats.errors.Error, JetStreamError, TimeoutError) as error:
                log.warning(
                    "EVENTS does not take a batch of %d: %s",
                    len(events),
                    error or type(error).__name__,
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)
                continue
            self.last_sequence[partition] = max(ack.seq, self.last_sequence.get(partition, 0))
            return

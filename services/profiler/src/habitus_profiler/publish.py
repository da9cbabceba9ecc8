# SPDX-License-Identifier: Apache-2.0
"""Makes anomalies of what a profile does not contain, and stores each once in ANOMALIES."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
import nats.errors

from habitus import subjects, wire
from habitus.anomalies import Anomaly, Reason
from habitus.bus import Bus
from habitus.events import Event, as_record
from habitus.text import printable
from habitus_profiler.judgement import Miss
from habitus_profiler.notes import keys_of
from habitus_profiler.paths import is_sensitive
from habitus_profiler.profile import Profile
from habitus_profiler.store import STORE_FAULTS

log = logging.getLogger(__name__)

_LONGEST_DETAIL: Final = 300
_LONGEST_NAME: Final = 300
_USUAL: Final = 8
_CUT_ARGV: Final = 4096
_HEADERS: Final = 1024  # they count too
_AT_ONCE: Final = 256
_LONGEST_PAUSE_S: Final = 2.0
_LONGEST_KEYS: Final = 1000
_TUNABLE: Final = frozenset({"unknown-path", "unknown-argument", "new-remote"})
_json = msgspec.json.Encoder()


def anomaly_of(event: Event, profile: Profile, miss: Miss) -> Anomaly:
    """Return the anomaly; its id is the event's and the reason, so a redelivery makes no second one."""
    return Anomaly(
        id=f"{event.id}:{miss.reason}",
        event=event,
        image_key=profile.image_key,
        revision=profile.revision,
        reason=miss.reason,
        path=[part[:_LONGEST_NAME] for part in miss.path],
        detail=_cut(miss.detail, _LONGEST_DETAIL),
        usual=[_cut(text, _LONGEST_DETAIL) for text in miss.usual[:_USUAL]],
        nearest=list(miss.nearest),
        confidence=profile.confidence,
        replicas=profile.fleet.replicas,
        model=profile.model if miss.threshold else "",
        threshold=miss.threshold,
        detected=time.time_ns(),
        habits=_tunable(event, miss.reason),
    )


def _tunable(event: Event, reason: Reason) -> list[str]:
    """Return the keys of what slow tuning may take into the profile; none of what security turns on."""
    if reason not in _TUNABLE:
        return []
    file = event.file
    if file and any(path and is_sensitive(path) for path in (file.path, file.new_path)):
        return []
    keys = keys_of(event)
    return keys if sum(map(len, keys)) <= _LONGEST_KEYS else []


def unknown_image(event: Event, image_key: str) -> Anomaly:
    """Return the anomaly of an image that learning never showed."""
    return Anomaly(
        id=f"{event.id}:unknown-path",
        event=event,
        image_key=image_key,
        revision=0,
        reason="unknown-path",
        path=[image_key],
        detail="this image was never seen while profiles were learned",
        detected=time.time_ns(),
    )


def fitted(anomaly: Anomaly, most: int) -> Anomaly:
    """Return the anomaly with arguments of `most` characters each, and not more than `most / 64` of them."""
    process = anomaly.event.process
    argv = process.argv if process else None
    if not process or not argv or sum(map(len, argv)) <= most:
        return anomaly
    shorter = msgspec.structs.replace(process, argv=[_cut(word, most) for word in argv[: most // 64]])
    return msgspec.structs.replace(anomaly, event=msgspec.structs.replace(anomaly.event, process=shorter))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Publisher:
    """Stores anomalies and faulty events; returns only when the broker has them."""

    def __init__(self, bus: Bus, partition: int) -> None:
        self._bus = bus
        self._partition = partition
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def store(self, anomalies: Sequence[Anomaly]) -> None:
        """Store all of `anomalies`, each under its id, however often the broker must be asked."""
        await asyncio.gather(*(self._one(anomaly) for anomaly in anomalies))

    async def _one(self, anomaly: Anomaly) -> None:
        data = wire.encode(anomaly)
        if len(data) > self._bus.nc.max_payload - _HEADERS:
            data = wire.encode(fitted(anomaly, _CUT_ARGV))
        async with self._free:
            await self._publish(subjects.anomalies(self._partition), data, {"Nats-Msg-Id": anomaly.id})

    async def park(self, event: Event, why: str, name: str) -> None:
        """Keep an event that nobody can judge, as JSON, with the reason."""
        subject = subjects.events(event.class_, self._partition)
        await self._park(subject, _json.encode(as_record(event)), why, name)

    async def park_unread(self, raw: bytes, why: str, name: str) -> None:
        """Keep what was to be an event and cannot be read, as it came, with the reason."""
        log.error("partition %d, batch %s: %s", self._partition, name.partition("-")[0], printable(why, 300))
        await self._park(subjects.events("unread", self._partition), raw, why, name)

    async def _park(self, subject: str, data: bytes, why: str, name: str) -> None:
        headers = {
            "Nats-Msg-Id": f"{name}:parked",
            "Habitus-Subject": subject,
            "Habitus-Why": printable(why, 300),
        }
        await self._publish(subjects.parked(subjects.EVENTS), data, headers)

    async def _publish(self, subject: str, data: bytes, headers: dict[str, str]) -> None:
        try:
            await insist(subject, lambda: self._bus.js.publish(subject, data, headers=headers))
        except nats.errors.MaxPayloadError:
            log.error("%s: %d bytes are more than the broker takes; left out", subject, len(data))  # noqa: TRY400


async def insist(what: str, call: Callable[[], Awaitable[object]]) -> None:
    """Call again and again, with pauses that grow, until the broker takes it.

    Raises:
        nats.errors.MaxPayloadError: it never will.
    """
    pause = 0.05
    while True:
        try:
            await call()
        except nats.errors.MaxPayloadError:
            raise
        except STORE_FAULTS as error:
            log.warning("%s: %s; trying again", what, error or type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            continue
        return

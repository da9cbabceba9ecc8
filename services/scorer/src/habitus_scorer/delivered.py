# SPDX-License-Identifier: Apache-2.0
"""Remembers, in the bucket DELIVERED, which revision of each alert a sink took last."""

import asyncio
import logging
from typing import Final

import nats.errors
from nats.js.api import KeyValueConfig
from nats.js.errors import Error as JetStreamError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from habitus import subjects
from habitus.alerts import Alert
from habitus.bus import Bus

log = logging.getLogger(__name__)

_KEPT_S: Final = 90 * 86_400.0
_PAUSE_S: Final = 0.5
_FAULTS: Final = (nats.errors.Error, JetStreamError, TimeoutError)


class Delivered:
    """What one sink took. Its entries outlive the alerts of the stream."""

    def __init__(self, bus: Bus, sink: str) -> None:
        self._bus = bus
        self._sink = sink
        self._bucket: KeyValue | None = None

    async def has(self, alert: Alert) -> bool:
        """Say whether this revision, or a later one, was taken before."""
        while True:
            try:
                entry = await (await self._opened()).get(self._key(alert))
            except KeyNotFoundError:
                return False
            except _FAULTS as error:
                await self._waited(error)
            else:
                text = (entry.value or b"").decode("ascii", "replace")
                return text.isdigit() and int(text) >= alert.revision

    async def note(self, alert: Alert) -> None:
        """Store that this revision was taken; return when the broker has it."""
        while True:
            try:
                await (await self._opened()).put(self._key(alert), str(alert.revision).encode())
            except _FAULTS as error:
                await self._waited(error)
            else:
                return

    async def _opened(self) -> KeyValue:
        if self._bucket is None:
            config = KeyValueConfig(bucket=subjects.DELIVERED, ttl=_KEPT_S)
            self._bucket = await self._bus.js.create_key_value(config)
        return self._bucket

    async def _waited(self, error: Exception) -> None:
        log.warning("bucket %s: %s; trying again", subjects.DELIVERED, error or type(error).__name__)
        self._bucket = None
        await asyncio.sleep(_PAUSE_S)

    def _key(self, alert: Alert) -> str:
        return f"{self._sink}.{subjects.token_of(alert.id)}"

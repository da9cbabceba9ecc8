# SPDX-License-Identifier: Apache-2.0
"""Stores scores and alerts in their streams, until the broker has them; the same id is stored once."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final

import nats.errors
from nats.js.api import PubAck
from nats.js.errors import Error as JetStreamError

from habitus.bus import Bus

log = logging.getLogger(__name__)

FAULTS: Final = (nats.errors.Error, JetStreamError, TimeoutError, OSError)
"""What a broker that is away or busy gives."""

_TIMEOUT_S: Final = 5.0


class Storing:
    """Publishes to JetStream with ids that the broker deduplicates."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def send(self, subject: str, payload: bytes, message_id: str) -> Awaitable[None]:
        """Send now, in order; what is returned is to be awaited: it ends when the broker has stored it."""
        try:
            stored = await self._bus.js.publish_async(
                subject, payload, headers={"Nats-Msg-Id": message_id}, wait_stall=_TIMEOUT_S
            )
        except FAULTS:
            return self.store(subject, payload, message_id)
        return self._confirmed(stored, subject, payload, message_id)

    async def store(self, subject: str, payload: bytes, message_id: str) -> None:
        """Publish until the broker has stored it."""
        pause = 0.1
        while True:
            try:
                await self._bus.js.publish(
                    subject, payload, timeout=_TIMEOUT_S, headers={"Nats-Msg-Id": message_id}
                )
            except FAULTS as error:
                log.warning("%s takes nothing: %s; trying again", subject, error or type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5)
            else:
                return

    async def _confirmed(
        self, stored: "asyncio.Future[PubAck]", subject: str, payload: bytes, message_id: str
    ) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await stored
        except FAULTS:
            await self.store(subject, payload, message_id)

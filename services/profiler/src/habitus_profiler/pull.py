# SPDX-License-Identifier: Apache-2.0
"""Pulls one partition of EVENTS: requests stand at the broker, each message comes the moment it is there.

The client library's `fetch` gathers a batch before it returns; here nothing waits for company.
"""

import asyncio
import json
import logging
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo
from nats.js.errors import Error as JetStreamError

from habitus import subjects
from habitus.bus import Bus

log = logging.getLogger(__name__)

ACK_WAIT_S: Final = 5.0
MAX_UNACKNOWLEDGED: Final = 4096
_STANDING: Final = 64
_EXPIRES_S: Final = 60
_HEARTBEAT_S: Final = 2
_PAUSE_S: Final = 0.25
_NANO: Final = 1_000_000_000


def durable(partition: int) -> str:
    """Return the name of a partition's consumer."""
    return f"profiler-{partition}"


class Pull:
    """The messages of one partition, in order. Use `open`, then `next` again and again."""

    def __init__(self, bus: Bus, partition: int) -> None:
        self._bus = bus
        self._partition = partition
        self._inbox = bus.nc.new_inbox()
        self._asked = 0

    async def open(self) -> None:
        """Make sure that the consumer stands, and listen."""
        await self._ensure()
        self._sub = await self._bus.nc.subscribe(self._inbox)

    async def close(self) -> None:
        """Listen no more."""
        await self._sub.unsubscribe()

    async def info(self) -> ConsumerInfo:
        """Return what the broker says of the consumer."""
        info: ConsumerInfo = await self._bus.js.consumer_info(subjects.EVENTS, durable(self._partition))
        return info

    async def next(self) -> Msg:
        """Wait for the next message."""
        while True:
            if self._asked <= _STANDING // 2:
                await self._ask()
            try:
                message = await self._sub.next_msg(timeout=2.5 * _HEARTBEAT_S)
            except (nats.errors.TimeoutError, TimeoutError):
                self._asked = 0  # not even a heartbeat: the requests are lost
                continue
            status = (message.headers or {}).get("Status")
            if status is None or message.reply:
                self._asked -= 1
                return message
            await self._heard(status, message)

    async def _ask(self) -> None:
        count = _STANDING - self._asked
        request = {
            "batch": count,
            "expires": _EXPIRES_S * _NANO,
            "idle_heartbeat": _HEARTBEAT_S * _NANO,
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{subjects.EVENTS}.{durable(self._partition)}"
        try:
            await self._bus.nc.publish(subject, json.dumps(request).encode(), self._inbox)
        except nats.errors.Error as error:
            log.debug("partition %d: %s", self._partition, error)
            await asyncio.sleep(_PAUSE_S)
            return
        self._asked += count

    async def _heard(self, status: str, message: Msg) -> None:
        if status == "100":
            return
        unfilled = (message.headers or {}).get("Nats-Pending-Messages")
        if status == "408" and unfilled:
            self._asked = max(0, self._asked - int(unfilled))
            return
        # The consumer is gone, the server stops, or nobody answers: stand up again, without haste.
        self._asked = 0
        await asyncio.sleep(_PAUSE_S)
        await self._ensure()

    async def _ensure(self) -> None:
        config = ConsumerConfig(
            durable_name=durable(self._partition),
            filter_subject=subjects.events("*", self._partition),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=MAX_UNACKNOWLEDGED,
        )
        try:
            await self._bus.js.add_consumer(subjects.EVENTS, config)
        except (nats.errors.Error, JetStreamError, TimeoutError) as error:
            log.warning("consumer %s: %s", durable(self._partition), error or type(error).__name__)

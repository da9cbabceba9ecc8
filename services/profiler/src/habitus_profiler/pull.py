# SPDX-License-Identifier: Apache-2.0
"""Pulls one partition of EVENTS: requests stand at the broker, each message comes the moment it is there.

Any number of replicas stand for a partition; the broker pins it to one of them (pinned-client priority
groups of NATS 2.11, ADR-42) and gives the others nothing until that one falls silent for PIN_TTL_S. It
pins when it has a message to give, so a partition without events is offered by `nudge`.

The client library knows neither groups nor pins, and its `fetch` gathers a batch before it returns;
here nothing waits for company.
"""

import asyncio
import json
import logging
import time
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerInfo

from habitus import subjects, wire
from habitus.bus import Bus

log = logging.getLogger(__name__)

ACK_WAIT_S: Final = 5.0
MAX_UNACKNOWLEDGED: Final = 4096
PIN_TTL_S: Final = 4.0
"""An owner that asked for nothing so long is taken for dead."""

_GROUP: Final = "owner"
_PIN: Final = "Nats-Pin-Id"
_STANDING: Final = 64
_EXPIRES_S: Final = 60
_HEARTBEAT_S: Final = 2
_BEAT_S: Final = 1.0
_PAUSE_S: Final = 0.25
_NANO: Final = 1_000_000_000
_API_TIMEOUT_S: Final = 5.0


class Unpinned(Exception):
    """The broker may give the partition to another replica, or has done so; the text says why."""


def durable(partition: int) -> str:
    """Return the name of a partition's consumer."""
    return f"profiler-{partition}"


def _now() -> float:
    # A suspended machine must find its pins too old when it wakes.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Pull:
    """The messages of one partition, in order: `open`, `next` again and again, `beat` beside it once pinned.

    `pinned`: the broker has chosen us. A `Pull` that lost its pin is of no use any more.
    """

    def __init__(self, bus: Bus, partition: int) -> None:
        self._bus = bus
        self._partition = partition
        self._inbox = bus.nc.new_inbox()
        self._asked = 0
        self._asked_at = 0.0
        self._pin = ""

    @property
    def pinned(self) -> bool:
        """Whether the partition is surely ours: pinned, and never silent for longer than allowed."""
        return bool(self._pin) and _now() - self._asked_at < PIN_TTL_S

    async def open(self) -> None:
        """Make sure that the consumer stands, and listen."""
        await self._ensure()
        self._sub = await self._bus.nc.subscribe(self._inbox)

    async def close(self) -> None:
        """Listen no more; the broker takes our standing requests away."""
        await self._sub.unsubscribe()

    async def info(self) -> ConsumerInfo:
        """Return what the broker says of the consumer."""
        info: ConsumerInfo = await self._bus.js.consumer_info(subjects.EVENTS, durable(self._partition))
        return info

    async def next(self, patience_s: float | None = None) -> Msg | None:
        """Wait for the next message; None when none came within `patience_s`.

        Raises:
            Unpinned: the partition was ours and may be another's.
        """
        deadline = None if patience_s is None else time.monotonic() + patience_s
        while deadline is None or time.monotonic() < deadline:
            self._check()
            if self._asked <= _STANDING // 2:
                await self._ask()
            left = 2.5 * _HEARTBEAT_S if deadline is None else max(0.01, deadline - time.monotonic())
            try:
                message = await self._sub.next_msg(timeout=min(left, 2.5 * _HEARTBEAT_S))
            except (nats.errors.TimeoutError, TimeoutError):
                if left >= 2.5 * _HEARTBEAT_S:
                    self._asked = 0  # not even a heartbeat: the requests are lost
                continue
            status = (message.headers or {}).get("Status")
            if status is None or message.reply:
                self._asked -= 1
                self._take_pin((message.headers or {}).get(_PIN, ""))
                return message
            await self._heard(status, message)
        return None

    async def beat(self) -> None:
        """Ask often enough to stay pinned, until cancelled."""
        while True:
            await asyncio.sleep(_BEAT_S)
            self._check()
            await self._ask()

    def _check(self) -> None:
        if self._pin and not self.pinned:
            raise Unpinned("this process was held up for too long")

    def _take_pin(self, pin: str) -> None:
        self._check()
        if self._pin and pin != self._pin:
            raise Unpinned("the broker pinned it anew")
        if not self._pin:
            self._pin, self._asked_at = pin, _now()

    async def _ask(self) -> None:
        # Whoever is pinned asks for little at a time, often: each request says that we are there.
        count = max(1, _STANDING - self._asked)
        request: dict[str, Any] = {"batch": count, "group": _GROUP}
        if self._pin:
            request |= {"id": self._pin, "expires": int(PIN_TTL_S * _NANO)}
        else:
            request |= {"expires": _EXPIRES_S * _NANO, "idle_heartbeat": _HEARTBEAT_S * _NANO}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{subjects.EVENTS}.{durable(self._partition)}"
        try:
            await self._bus.nc.publish(subject, json.dumps(request).encode(), self._inbox)
        except nats.errors.Error as error:
            log.debug("partition %d: %s", self._partition, error)
            await asyncio.sleep(_PAUSE_S)
            return
        self._asked += count
        self._asked_at = _now()

    async def _heard(self, status: str, message: Msg) -> None:
        if status == "100":
            return
        unfilled = (message.headers or {}).get("Nats-Pending-Messages")
        if status == "408" and unfilled:
            self._asked = max(0, self._asked - int(unfilled))
            return
        if status == "423" and self._pin:
            raise Unpinned("the broker has given it to another")
        # The consumer is gone, the server stops, or nobody answers: stand up again, without haste.
        self._asked = 0
        await asyncio.sleep(_PAUSE_S)
        await self._ensure()

    # -- the partition at the broker, whoever owns it --------------------------------------------

    async def state(self) -> dict[str, Any]:
        """Return the broker's own words on the consumer; empty when there is none.

        Raises:
            TimeoutError: the broker doesn't answer.
        """
        return await self._api(f"CONSUMER.INFO.{subjects.EVENTS}.{durable(self._partition)}")

    async def unpin(self) -> None:
        """Have the broker choose anew among those who stand."""
        subject = f"CONSUMER.UNPIN.{subjects.EVENTS}.{durable(self._partition)}"
        await self._api(subject, {"group": _GROUP})

    async def nudge(self) -> None:
        """Publish a batch without events, so that the broker has something to give and pins somebody."""
        moment = int(time.time() / _PAUSE_S)  # several replicas nudge: one is enough
        await self._bus.js.publish(
            subjects.events("owner", self._partition),
            wire.encode(wire.EventBatch(events=[])),
            headers={"Nats-Msg-Id": f"owner-{self._partition}-{moment}"},
        )

    async def _api(self, subject: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        payload = json.dumps(request).encode() if request else b""
        reply = json.loads(await self._bus.request(f"$JS.API.{subject}", payload, _API_TIMEOUT_S))
        return {} if "error" in reply else reply

    async def _ensure(self) -> None:
        # Written out because the library's ConsumerConfig has no priority groups.
        config = {
            "durable_name": durable(self._partition),
            "filter_subject": subjects.events("*", self._partition),
            "deliver_policy": "all",
            "replay_policy": "instant",
            "ack_policy": "explicit",
            "ack_wait": int(ACK_WAIT_S * _NANO),
            "max_ack_pending": MAX_UNACKNOWLEDGED,
            "priority_groups": [_GROUP],
            "priority_policy": "pinned_client",
            "priority_timeout": int(PIN_TTL_S * _NANO),
        }
        name = durable(self._partition)
        request = json.dumps({"stream_name": subjects.EVENTS, "config": config}).encode()
        subject = f"$JS.API.CONSUMER.DURABLE.CREATE.{subjects.EVENTS}.{name}"
        try:
            reply = json.loads(await self._bus.request(subject, request, _API_TIMEOUT_S))
        except TimeoutError as error:
            log.warning("consumer %s: %s", name, error)
            return
        if "error" in reply:
            log.warning("consumer %s: %s", name, reply["error"].get("description"))

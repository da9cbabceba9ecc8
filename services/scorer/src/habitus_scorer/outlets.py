# SPDX-License-Identifier: Apache-2.0
"""Carries stored alerts to the configured sinks: each has its own place in the stream ALERTS.

Alerts go out in order. One that a sink does not take steps aside and is tried again, later and later;
one that it never takes becomes a dead letter in PARKED. A sink that fails holds up only itself.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import nats.errors
import pydantic
from nats.aio.msg import Msg
from nats.js.api import DeliverPolicy
from nats.js.errors import Error as JetStreamError

from habitus import subjects
from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.intake import Intake
from habitus.sinks import Sink, SinkFault, SinkState
from habitus.text import printable
from habitus_scorer.delivered import Delivered
from habitus_scorer.delivery import Delivery

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
_IN_HAND: Final = 16
_CLOSE_S: Final = 2.0


class Outlet:
    """Sends alerts to one sink, one at a time; of one alert the revisions stay in order."""

    def __init__(self, bus: Bus, name: str, sink: Sink, delivery: Delivery) -> None:
        self.name = name
        self._bus = bus
        self._sink = sink
        self._delivery = delivery
        self._durable = f"sink-{name}"
        self._intake = Intake(bus, subjects.ALERTS, self._durable, self._handle, in_hand=_IN_HAND)
        self._delivered = Delivered(bus, name)
        self._turn = asyncio.Lock()
        self._revisions: dict[str, deque[asyncio.Event]] = {}
        self._not_before = 0.0
        self._stop = asyncio.Event()

    async def create(self) -> None:
        """Make sure of the sink's place in the stream; a new sink gets alerts from now on."""
        await self._intake.create(DeliverPolicy.NEW)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then close the sink."""
        self._stop = stop
        try:
            await self._intake.run(stop)
        finally:
            close = getattr(self._sink, "close", None)
            if close is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(close(), _CLOSE_S)

    async def state(self) -> SinkState:
        """Tell how many alerts wait, and how many are dead letters."""
        info = await self._bus.js.consumer_info(subjects.ALERTS, self._durable)
        subject = subjects.dead_letters(self.name)
        parked = await self._bus.js.stream_info(subjects.PARKED, subjects_filter=subject)
        return SinkState(
            name=self.name,
            kind=self._delivery.kind or self.name,
            waiting=(info.num_pending or 0) + (info.num_ack_pending or 0),
            dead=(parked.state.subjects or {}).get(subject, 0),
        )

    async def send_now(self, alert: Alert) -> None:
        """Send one alert once, whatever was sent before.

        Raises:
            SinkFault: the sink did not take it.
        """
        async with self._turn:
            fault = await self._attempt(alert)
        if fault is not None:
            raise fault

    async def note(self, alert: Alert) -> None:
        """Remember that the sink took this revision."""
        await self._delivered.note(alert)

    async def _handle(self, message: Msg) -> None:
        try:
            alert = Alert.model_validate_json(message.data)
        except pydantic.ValidationError as error:
            await self._bus.park(subjects.ALERTS, message, f"no alert: {error.error_count()} faults")
            return
        if alert.severity.rank >= self._delivery.min_severity.rank:
            async with self._in_order(alert):
                fault = await self._sent(alert)
                if self._stop.is_set() and fault is not None:
                    return  # not acknowledged: the next scorer sends it
                if fault is not None:
                    await self._bury(message, alert, fault)
                    return
        # Confirmed by the broker: an acknowledgement that is lost would bring the alert again.
        with suppress(nats.errors.Error, JetStreamError, TimeoutError):
            await message.ack_sync()

    @asynccontextmanager
    async def _in_order(self, alert: Alert) -> AsyncIterator[None]:
        """Wait for the earlier revisions of the same alert. Up to its first await it runs in stream order."""
        line, mine = self._revisions.setdefault(alert.id, deque()), asyncio.Event()
        before = line[-1] if line else None
        line.append(mine)
        try:
            if before is not None:
                await before.wait()
            yield
        finally:
            mine.set()
            line.remove(mine)
            if not line:
                self._revisions.pop(alert.id, None)

    async def _sent(self, alert: Alert) -> SinkFault | None:
        """Try until the sink took it (None) or until it is given up (the last fault)."""
        attempt = 0
        while True:
            async with self._turn:
                if not attempt and await self._delivered.has(alert):
                    return None
                await self._paused(self._not_before - time.monotonic())
                fault = await self._attempt(alert)
                if fault is None:
                    await self.note(alert)
                    return None
            attempt += 1
            if attempt & (attempt - 1) == 0:  # the 1st, 2nd, 4th, 8th …
                log.warning(
                    "sink %s did not take alert %s (attempt %d): %s", self.name, alert.id, attempt, fault
                )
            if self._stop.is_set() or fault.lasting or self._delivery.exhausted(attempt, alert):
                return fault
            await self._paused(pause_s(attempt))

    async def _attempt(self, alert: Alert) -> SinkFault | None:
        try:
            await asyncio.wait_for(self._sink.send(alert), self._delivery.timeout_s)
        except SinkFault as fault:
            if fault.retry_after_s is not None:
                self._not_before = time.monotonic() + fault.retry_after_s
            return fault
        except TimeoutError:
            return SinkFault(f"no answer within {self._delivery.timeout_s:g} s")
        except Exception as error:  # noqa: BLE001  # whatever a sink raises, the alert waits
            return SinkFault(printable(f"{type(error).__name__}: {error}", 200))
        return None

    async def _paused(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), seconds)

    async def _bury(self, message: Msg, alert: Alert, fault: SinkFault) -> None:
        # Once for each message, however often it is delivered.
        once = f"{self.name}:{message.metadata.sequence.stream}"
        where = f"sinks.{self.name}"
        await self._bus.park(where, message, f"alert {alert.id}:{alert.revision}: {fault}", once)


def pause_s(attempt: int) -> float:
    """Return the seconds to wait after the `attempt`-th failure: doubling, with jitter, a minute at most.

    At least half of it is waited, so that a receiver that comes back isn't met by all at once.
    """
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * float(1 << min(attempt - 1, 16)))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret hangs on it

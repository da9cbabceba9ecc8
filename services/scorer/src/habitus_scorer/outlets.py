# SPDX-License-Identifier: Apache-2.0
"""Carries stored alerts to the configured sinks: each has its own place in the stream ALERTS.

A sink that fails holds up only itself: its alerts wait in the stream and are sent again.
"""

import asyncio
import logging
from typing import Final

import pydantic
from nats.aio.msg import Msg
from nats.js.api import DeliverPolicy

from habitus import plugins, subjects
from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.intake import Intake
from habitus.plugins import PluginFault
from habitus.text import printable
from habitus_scorer.sinks import GROUP, Sink

log = logging.getLogger(__name__)

_PAUSES_S: Final = (1.0, 5.0, 30.0, 60.0)
_TIMEOUT_S: Final = 30.0


class Outlet:
    """Sends alerts to one sink, one at a time, in the order in which they were raised."""

    def __init__(self, bus: Bus, sink: Sink) -> None:
        self._bus = bus
        self._sink = sink
        self._intake = Intake(bus, subjects.ALERTS, f"sink-{sink.name}", self._handle, in_hand=1)

    async def create(self) -> None:
        """Make sure of the sink's place in the stream; a new sink gets alerts from now on."""
        await self._intake.create(DeliverPolicy.NEW)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`."""
        await self._intake.run(stop)

    async def _handle(self, message: Msg) -> None:
        try:
            alert = Alert.model_validate_json(message.data)
        except pydantic.ValidationError as error:
            await self._bus.park(subjects.ALERTS, message, f"no alert: {error.error_count()} faults")
            return
        attempt = 0
        while not await self._sent(alert):
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1
        await message.ack()

    async def _sent(self, alert: Alert) -> bool:
        try:
            await asyncio.wait_for(self._sink.send(alert), _TIMEOUT_S)
        except Exception as error:  # noqa: BLE001  # whatever a sink raises, the alert waits
            why = printable(f"{type(error).__name__}: {error}", 200)
            log.warning("sink %s did not take alert %s: %s", self._sink.name, alert.id, why)
            return False
        return True


def opened(bus: Bus, names: list[str]) -> list[Outlet]:
    """Load every sink that `scorer.sinks` names.

    Raises:
        PluginFault: an unknown name or one that cannot start.
    """
    return [Outlet(bus, _sink(name)) for name in dict.fromkeys(names)]


def _sink(name: str) -> Sink:
    factory = plugins.load(GROUP, name)
    try:
        sink = factory({})
    except Exception as error:
        raise PluginFault(f"sink {name!r} cannot start: {type(error).__name__}: {error}") from error
    if not isinstance(sink, Sink):
        raise PluginFault(f"sink {name!r} is a {type(sink).__name__}, which does not follow the protocol")
    return sink

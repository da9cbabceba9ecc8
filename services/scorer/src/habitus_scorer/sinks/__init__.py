# SPDX-License-Identifier: Apache-2.0
"""Where alerts go beside the bus: plugins of group `habitus.sinks`, built from their settings' table."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, runtime_checkable

from habitus.alerts import Alert

GROUP: Final = "habitus.sinks"


@runtime_checkable
class Sink(Protocol):
    """Takes alerts one at a time. It may raise: the alert is then sent again, later."""

    name: str

    async def send(self, alert: Alert) -> None:
        """Deliver one revision of one alert."""
        ...


SinkFactory = Callable[[Mapping[str, Any]], Sink]

# SPDX-License-Identifier: Apache-2.0
"""The containers of one image: how many there are now, and how much processor one of them uses.

Both come from what the collector tells of each container about once a minute, known or not.
"""

from collections import OrderedDict
from typing import Final

from habitus.events import Event

ALIVE_NS: Final = 300 * 10**9
"""A container counts for so long after its last event."""
TIMES: Final = 2.0
MORE: Final = 0.5
"""A jump is this many times the learned peak, and this many cores above it at least."""
READINGS: Final = 3
"""Readings before the peak means anything."""

_MOST: Final = 10_000


class Fleet:
    """Pure: time is the events' own. `peak` is in cores, of `readings` learned ones."""

    def __init__(self) -> None:
        self.peak = 0.0
        self.readings = 0
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._high: dict[str, int] = {}
        self._newest = 0
        self._latest = ""  # stands last in `_seen`
        self._look_at = 0  # nobody's time is over before

    @property
    def replicas(self) -> int:
        """How many containers there are now."""
        return len(self._seen)

    def meet(self, event: Event) -> None:
        """Note that the event's container lives."""
        self.saw(event.container.id, event.ts)

    def saw(self, container: str | None, ts: int) -> None:
        """Note that a container lives at `ts`."""
        if not container:
            return
        self._newest = max(self._newest, ts)
        self._seen[container] = self._newest
        if container != self._latest:
            self._seen.move_to_end(container)
            self._latest = container
        if self._newest >= self._look_at or len(self._seen) > _MOST:
            self._bury()

    def _bury(self) -> None:
        oldest = next(iter(self._seen))
        while len(self._seen) > _MOST or self._seen[oldest] < self._newest - ALIVE_NS:
            del self._seen[oldest]
            self._high.pop(oldest, None)
            oldest = next(iter(self._seen))
        self._look_at = self._seen[oldest] + ALIVE_NS + 1

    def learn(self, event: Event) -> None:
        """Note that the container lives, and take a reading of its processor use as usual."""
        self.meet(event)
        if event.usage:
            self.peak = max(self.peak, event.usage.cores)
            self.readings += 1

    def jump(self, event: Event) -> str | None:
        """Say what a reading jumps to, at its second in a row: a burst that passes is none.

        Told once, until the use is back below. Any event says that its container lives.
        """
        self.saw(event.container.id, event.ts)
        usage, container = event.usage, event.container.id or "?"
        if usage is None or self.readings < READINGS:
            return None
        if usage.cores < max(TIMES * self.peak, self.peak + MORE):
            self._high.pop(container, None)
            return None
        in_row = self._high[container] = self._high.get(container, 0) + 1
        if in_row != 2:  # noqa: PLR2004  # the second in a row
            return None
        return f"{usage.cores:.2f} cores over {usage.window_s:.0f} s; at most {self.peak:.2f} were usual"

# SPDX-License-Identifier: Apache-2.0
"""The kernel's clock and the wall clock."""

import time


class Clock:
    """Turns the kernel's boot clock into nanoseconds since the epoch."""

    def __init__(self) -> None:
        self._offset = 0
        self.adjust()

    def adjust(self) -> None:
        """Follow the wall clock: it may have been set meanwhile."""
        self._offset = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall(self, boot: int) -> int:
        """Return the wall clock's reading at `boot`."""
        return boot + self._offset

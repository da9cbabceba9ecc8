# SPDX-License-Identifier: Apache-2.0
"""The kernel's clock and the wall clock."""

import time


class Clock:
    """Turns a clock of the kernel, by default that of its boot, into nanoseconds since the epoch."""

    def __init__(self, kernel: int = time.CLOCK_BOOTTIME) -> None:
        self._kernel = kernel
        self._offset = 0
        self.adjust()

    def adjust(self) -> None:
        """Follow the wall clock: it may have been set meanwhile."""
        self._offset = time.time_ns() - time.clock_gettime_ns(self._kernel)

    def wall(self, reading: int) -> int:
        """Return the wall clock's reading at a reading of the kernel's clock."""
        return reading + self._offset

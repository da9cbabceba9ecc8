# SPDX-License-Identifier: Apache-2.0
"""Memory that was needed for a while: glibc keeps it, and a collector is on every node."""

import ctypes
from typing import Final

_STORM_EVENTS: Final = 20_000


def give_back() -> None:
    """Give back to the system what was freed; takes milliseconds. Other C libraries do so by themselves."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


class AfterStorms:
    """Gives memory back once many events have passed and none waits any more."""

    def __init__(self) -> None:
        self._passed = 0

    def look(self, passed: int, waiting: int) -> bool:
        """Be told how many events passed since the start and how many wait; say whether it was time."""
        if waiting or passed - self._passed < _STORM_EVENTS:
            return False
        self._passed = passed
        give_back()
        return True

# SPDX-License-Identifier: Apache-2.0
"""The circuit breaker and the rate limit of one provider."""

import time
from collections.abc import Callable
from typing import Literal

Clock = Callable[[], float]
Entry = Literal["refused", "entered", "trial"]


class Breaker:
    """Opens after failures in a row; after a while one question may try whether it is mended.

    Args:
        failures: in a row, that open it.
        rest_s: seconds that it stays open.
    """

    def __init__(self, failures: int, rest_s: float, clock: Clock = time.monotonic) -> None:
        self._most = failures
        self._rest_s = rest_s
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._trying = False
        self.why = ""

    @property
    def state(self) -> str:
        """`closed`, `open`, or `half-open` when the next question tries."""
        if not self.why:
            return "closed"
        return "open" if self._clock() < self._open_until else "half-open"

    def enter(self) -> Entry:
        """Tell whether a question may be asked now, and whether it is the one that tries."""
        state = self.state
        if state == "closed":
            return "entered"
        if state == "open" or self._trying:
            return "refused"
        self._trying = True
        return "trial"

    def succeed(self) -> None:
        """Note an answer: the circuit closes."""
        self._failures, self.why, self._trying = 0, "", False

    def leave(self, entry: Entry) -> None:
        """Note that a question ended: a trial that told nothing of the provider makes room for the next."""
        if entry == "trial":
            self._trying = False

    def fail(self, why: str, *, lasting: bool = False, rest_s: float | None = None) -> None:
        """Note a failure. A lasting one opens at once; `rest_s` is the provider's own wish."""
        self._failures += 1
        if lasting or self._trying or rest_s is not None or self._failures >= self._most:
            self.why = why
            self._open_until = self._clock() + max(rest_s or 0.0, self._rest_s if rest_s is None else 0.0)
        self._trying = False


class Rate:
    """A token bucket: so many questions a minute, a burst of a sixth of them.

    Args:
        per_minute: None: no limit.
    """

    def __init__(self, per_minute: float | None, clock: Clock = time.monotonic) -> None:
        self._per_s = per_minute / 60 if per_minute else None
        self._burst = max(per_minute / 6, 1.0) if per_minute else 0.0
        self._left = self._burst
        self._clock = clock
        self._at = clock()

    def wait_s(self) -> float:
        """Take one question's place; return the seconds until it may be asked."""
        if self._per_s is None:
            return 0.0
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._per_s, self._burst)
        self._at = now
        self._left -= 1
        return max(-self._left / self._per_s, 0.0)

    def give_back(self) -> None:
        """Return a place that was not used."""
        self._left += 1

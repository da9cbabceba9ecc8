# SPDX-License-Identifier: Apache-2.0
"""Knows when habits are learned: what was new inside a sliding window of event time.

Time is a profile's own: it follows the events' timestamps, but one step counts half a window at most
and a step back counts nothing, so that no clock that jumps makes a profile old. While no event
comes, the machine's monotonic clock carries it on, one window at most.
"""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from habitus.profiles import Convergence

_BUCKETS: Final = 60
_POINTS: Final = 96
_NANO: Final = 1e-9


class Rule(msgspec.Struct, frozen=True):
    """What a profile must satisfy to be learned; see `habitus.profiles.Convergence`."""

    window_s: float
    epsilon: int
    min_events: int


class Progress(msgspec.Struct):
    """The learning of one profile so far, as kept in its snapshot.

    `buckets` maps sixtieths of a window to [events, new], `lost` to events lost. `curve` is (seconds,
    new so far).
    """

    events: int = 0
    new: int = 0
    clock: float = 0.0
    last_ts: int = 0
    buckets: dict[int, list[int]] = msgspec.field(default_factory=dict)
    curve: list[tuple[float, int]] = msgspec.field(default_factory=list)
    lost: dict[int, int] = msgspec.field(default_factory=dict)


class Learning:
    """Counts events and news, and says when the window was quiet enough."""

    def __init__(
        self, rule: Rule, progress: Progress | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.rule = rule
        self.progress = progress or Progress()
        self._monotonic = monotonic
        self._heard = monotonic()

    def saw(self, ts: int, events: int, new: int) -> None:
        """Count events at `ts` (nanoseconds since the epoch) with what was new in them."""
        self._advance(ts)
        self._count(events, new)

    def news(self, new: int) -> None:
        """Count what turned out to be new after its event, now."""
        self._count(0, new)

    def lost(self, count: int) -> None:
        """Count events that were lost just now: the window begins anew."""
        lost, at = self.progress.lost, self._bucket(self.now())
        lost[at] = lost.get(at, 0) + count
        for old in [each for each in lost if each < at - _BUCKETS]:
            del lost[old]

    def now(self) -> float:
        """Seconds of this profile's own time since its first event."""
        if not self.progress.events:
            return 0.0
        return self.progress.clock + min(self._monotonic() - self._heard, self.rule.window_s)

    def inside(self) -> tuple[int, int]:
        """Return (events, new) inside the window."""
        oldest = self._bucket(self.now()) - _BUCKETS
        counts = [count for at, count in self.progress.buckets.items() if at >= oldest]
        return sum(count[0] for count in counts), sum(count[1] for count in counts)

    def losses(self) -> int:
        """Return how many events were lost inside the window."""
        oldest = self._bucket(self.now()) - _BUCKETS
        return sum(count for at, count in self.progress.lost.items() if at >= oldest)

    def converged(self) -> bool:
        """Say whether the window was quiet and whole, long enough, after enough events."""
        progress, rule = self.progress, self.rule
        if progress.events < rule.min_events or self.now() < rule.window_s:
            return False
        return self.inside()[1] <= rule.epsilon and not self.losses()

    def report(self, unseen: float) -> Convergence:
        """Return the figures for a person."""
        events, new = self.inside()
        return Convergence(
            events=self.progress.events,
            window_events=events,
            window_new=new,
            epsilon=self.rule.epsilon,
            min_events=self.rule.min_events,
            window_s=self.rule.window_s,
            unseen=unseen,
            losses=self.losses(),
            curve=list(self.progress.curve),
        )

    def _advance(self, ts: int) -> None:
        progress = self.progress
        step = (ts - progress.last_ts) * _NANO if progress.last_ts else 0.0
        if step > 0:
            progress.clock += min(step, self.rule.window_s / 2)
        elif step > -self.rule.window_s and progress.last_ts:
            ts = progress.last_ts
        progress.last_ts = ts
        self._heard = self._monotonic()

    def _count(self, events: int, new: int) -> None:
        progress = self.progress
        progress.events += events
        at = self._bucket(self.now())
        bucket = progress.buckets.get(at)
        if bucket is None:
            bucket = progress.buckets[at] = [0, 0]
            for old in [each for each in progress.buckets if each < at - _BUCKETS]:
                del progress.buckets[old]
        bucket[0] += events
        bucket[1] += new
        if new:
            progress.new += new
            self._draw()

    def _draw(self) -> None:
        curve = self.progress.curve
        curve.append((round(self.now(), 3), self.progress.new))
        if len(curve) > _POINTS:
            self.progress.curve = [*curve[:-1:2], curve[-1]]

    def _bucket(self, at: float) -> int:
        return int(at * _BUCKETS / self.rule.window_s)


def unseen(observations: int, singletons: int) -> float:
    """Return the Good–Turing estimate N1/N of the chance that the next event is new (Good 1953)."""
    return min(1.0, singletons / observations) if observations else 1.0

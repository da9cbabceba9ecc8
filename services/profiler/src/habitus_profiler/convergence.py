# SPDX-License-Identifier: Apache-2.0
"""Knows when habits are learned: by what was new, in a sliding window and over the latest half of learning.

Time is a profile's own and follows the events. Each node's clock counts against itself only, so that
clocks that disagree make no profile old. One step of one clock counts half a window at most, or what
our own monotonic clock saw pass; a step back counts nothing. While no event comes, the monotonic clock
carries the time on, one window at most.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from habitus.profiles import Blocker, Convergence, Forecast
from habitus_profiler import estimates

_BUCKETS: Final = 60
_FINEST: Final = 3600
_SPANS: Final = 120
_NODES: Final = 1024  # beyond, nodes share a clock: then time passes more slowly, never faster
_NANO: Final = 1e-9


class Rule(msgspec.Struct, frozen=True):
    """What a profile must satisfy to be learned; see `habitus.profiles.Convergence`.

    `max_alerts` is the forecast a day that is accepted (None: any); with `confidence` above 0 it is the
    forecast's upper bound at this confidence that must be accepted. Without `by_evidence` only a command
    ends learning.
    """

    window_s: float
    epsilon: int
    min_events: int
    max_alerts: float | None = None
    confidence: float = 0.0
    by_evidence: bool = True


class NodeClock(msgspec.Struct, array_like=True):
    """One node's clock: its newest time (nanoseconds since the epoch), and what that is on the profile's."""

    ts: int
    at: float


class Span(msgspec.Struct, array_like=True):
    """What one stretch of learning brought: events, new nodes + vectors, and how often there was news."""

    events: int = 0
    new: int = 0
    alarms: int = 0


class Progress(msgspec.Struct):
    """The learning of one profile so far, as kept in its snapshot.

    `buckets` maps sixtieths of a window (of `window_s`) to [events, new], `lost` to events lost. `history`
    holds the whole of learning in stretches of `span_s` seconds, which grow so that it stays short.
    """

    events: int = 0
    new: int = 0
    clock: float = 0.0
    window_s: float = 0.0
    nodes: dict[str, NodeClock] = msgspec.field(default_factory=dict)
    buckets: dict[int, list[int]] = msgspec.field(default_factory=dict)
    lost: dict[int, int] = msgspec.field(default_factory=dict)
    span_s: float = 0.0
    history: list[Span] = msgspec.field(default_factory=list)


class _Stretch(NamedTuple):
    """A time of the profile's in which all is counted in the same bucket and the same span."""

    begins: float
    ends: float
    bucket: list[int]
    span: Span


class Learning:
    """Counts events and news, and says what is still in the way of judging."""

    def __init__(
        self, rule: Rule, progress: Progress | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.rule = rule
        self.progress = progress or Progress()
        if self.progress.window_s not in (0.0, rule.window_s):
            # Its buckets were of another width: what they hold counts as of now.
            recent = [sum(each) for each in zip(*self.progress.buckets.values(), strict=True)] or [0, 0]
            lost = sum(self.progress.lost.values())
            at = int(self.progress.clock * _BUCKETS / rule.window_s)
            self.progress.buckets, self.progress.lost = {at: recent}, {at: lost}
        self.progress.window_s = rule.window_s
        self._monotonic = monotonic
        self._heard = monotonic()
        self._stretch: _Stretch | None = None  # where the newest event was counted

    # -- counting -----------------------------------------------------------------------------

    def saw(self, ts: int, events: int, new: int, node: str = "") -> None:
        """Count events at `ts` (nanoseconds since the epoch, by the clock of `node`) and what was new."""
        self._advance(ts, node)
        self._count(events, new, self.progress.clock)

    def news(self, new: int, at: float | None = None) -> None:
        """Count what turned out to be new after its event: `at` a time of the profile, or now."""
        self._count(0, new, self.now() if at is None else at)

    def lost(self, count: int) -> None:
        """Count events that were lost just now: the window begins anew."""
        lost, at = self.progress.lost, self._bucket(self.now())
        lost[at] = lost.get(at, 0) + count
        for old in [each for each in lost if each < at - _BUCKETS]:
            del lost[old]

    def begin_anew(self) -> None:
        """Forget what was counted: what comes is to be learned, whatever was."""
        self.progress = Progress(window_s=self.rule.window_s)
        self._stretch = None

    def now(self) -> float:
        """Seconds of this profile's own time since its first event."""
        if not self.progress.events:
            return 0.0
        return self.progress.clock + min(self._monotonic() - self._heard, self.rule.window_s)

    # -- figures ------------------------------------------------------------------------------

    def inside(self) -> tuple[int, int]:
        """Return (events, new) inside the window."""
        oldest = self._bucket(self.now()) - _BUCKETS
        counts = [count for at, count in self.progress.buckets.items() if at >= oldest]
        return sum(count[0] for count in counts), sum(count[1] for count in counts)

    def losses(self) -> int:
        """Return how many events were lost inside the window."""
        oldest = self._bucket(self.now()) - _BUCKETS
        return sum(count for at, count in self.progress.lost.items() if at >= oldest)

    def forecast(self) -> Forecast | None:
        """Return how often a day something new came in the data held out, None while it is under a window.

        Each event is compared with what was learned before it, so that every event is held out once; the
        latest half of learning counts, and a whole window at least.
        """
        now = self.now()
        if now < self.rule.window_s or not self.progress.span_s:
            return None
        width = self.progress.span_s
        first = int(max(0.0, min(now / 2, now - self.rule.window_s)) / width)
        alarms = sum(span.alarms for span in self.progress.history[first:])
        seconds = now - first * width
        return Forecast(
            alerts_a_day=estimates.a_day(alarms, seconds),
            at_most=estimates.a_day(1, seconds) * estimates.at_most(alarms, estimates.CONFIDENCE),
            alarms=alarms,
            seconds=seconds,
        )

    def blockers(self) -> list[Blocker]:
        """Return what keeps the habits from counting as learned; empty when they are."""
        rule = self.rule
        checks: dict[Blocker, bool] = {
            "events": self.progress.events < rule.min_events,
            "window": self.now() < rule.window_s,
            "news": self.inside()[1] > rule.epsilon,
            "losses": self.losses() > 0,
            "forecast": self._too_many_alerts(),
        }
        return [blocker for blocker, blocks in checks.items() if blocks]

    def converged(self) -> bool:
        """Say whether the window was quiet and whole, after enough events, and few alerts are to come."""
        if self.progress.events < self.rule.min_events or self.now() < self.rule.window_s:
            return False  # asked after every batch: the cheap answers first
        return not self.blockers()

    def _too_many_alerts(self) -> bool:
        accepted, forecast = self.rule.max_alerts, self.forecast()
        if accepted is None or forecast is None:
            return False
        if not self.rule.confidence:
            return forecast.alerts_a_day > accepted
        bound = estimates.at_most(forecast.alarms, self.rule.confidence)
        return estimates.a_day(1, forecast.seconds) * bound > accepted

    def report(self, observations: int, singletons: int) -> Convergence:
        """Return the figures for a person; the arguments are of Good and Turing."""
        events, new = self.inside()
        return Convergence(
            events=self.progress.events,
            window_events=events,
            window_new=new,
            epsilon=self.rule.epsilon,
            min_events=self.rule.min_events,
            window_s=self.rule.window_s,
            unseen=estimates.unseen(observations, singletons),
            unseen_at_most=estimates.unseen_bound(observations, singletons),
            losses=self.losses(),
            seconds=self.now(),
            forecast=self.forecast(),
            max_alerts=self.rule.max_alerts,
            blockers=self.blockers(),
            curve=self._curve(),
        )

    def _curve(self) -> list[tuple[float, int]]:
        points, total, now = [], 0, self.now()
        for number, span in enumerate(self.progress.history, 1):
            total += span.new
            points.append((round(min(number * self.progress.span_s, now), 3), total))
        if points and points[-1][0] < now:
            points.append((round(now, 3), total))
        return points

    # -- time ---------------------------------------------------------------------------------

    def _advance(self, ts: int, node: str) -> None:
        progress, monotonic = self.progress, self._monotonic()
        clock = progress.nodes.get(node)
        if clock is None:
            if len(progress.nodes) >= _NODES:
                node = next(iter(progress.nodes))
            clock = progress.nodes.setdefault(node, NodeClock(ts, progress.clock))
        step = (ts - clock.ts) * _NANO
        if step > 0:
            clock.at += min(step, max(self.rule.window_s / 2, monotonic - self._heard))
            clock.ts = ts
        elif step <= -self.rule.window_s:
            clock.ts, clock.at = ts, progress.clock
        progress.clock = max(progress.clock, clock.at)
        self._heard = monotonic

    def _count(self, events: int, new: int, now: float) -> None:
        stretch = self._stretch
        if stretch is None or not stretch.begins <= now < stretch.ends:
            stretch = self._stretch = self._stretch_at(now)
        progress, bucket, span = self.progress, stretch.bucket, stretch.span
        progress.events += events
        bucket[0] += events
        span.events += events
        if new:
            progress.new += new
            bucket[1] += new
            span.new += new
            span.alarms += 1

    def _stretch_at(self, now: float) -> _Stretch:
        at, span = self._bucket(now), self._span(now)
        width = self.progress.span_s
        ends = min((at + 1) * self.rule.window_s / _BUCKETS, (int(now / width) + 1) * width)
        return _Stretch(now, ends, self._opened(at), span)

    def _opened(self, at: int) -> list[int]:
        buckets = self.progress.buckets
        if at not in buckets:
            buckets[at] = [0, 0]
            for old in [each for each in buckets if each < at - _BUCKETS]:
                del buckets[old]
        return buckets[at]

    def _span(self, now: float) -> Span:
        progress = self.progress
        if not progress.span_s:
            progress.span_s = self.rule.window_s / _FINEST
        at, history = int(now / progress.span_s), progress.history
        if at < len(history):
            return history[at]
        while at >= _SPANS:
            progress.span_s *= 2
            progress.history = [_joined(progress.history[at : at + 2]) for at in range(0, _SPANS, 2)]
            at = int(now / progress.span_s)
        progress.history.extend(Span() for _ in range(at + 1 - len(progress.history)))
        return progress.history[at]

    def _bucket(self, at: float) -> int:
        return int(at * _BUCKETS / self.rule.window_s)


def _joined(spans: list[Span]) -> Span:
    return Span(
        sum(span.events for span in spans),
        sum(span.new for span in spans),
        sum(span.alarms for span in spans),
    )

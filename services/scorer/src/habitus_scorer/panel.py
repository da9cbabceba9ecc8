# SPDX-License-Identifier: Apache-2.0
"""The panel of engines: loads those that the settings name and lets each judge, within its time."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from habitus import plugins
from habitus.anomalies import Anomaly
from habitus.engines import GROUP, Context, Engine, EngineScore, EngineServices, Score, bounded
from habitus.plugins import PluginFault
from habitus.settings import ScorerSettings
from habitus.text import printable

log = logging.getLogger(__name__)

Request = Callable[[str, bytes, float], Awaitable[bytes]]


AT_ONCE: Final = 512
"""Calls of one engine at once, unless its own table says `at_once`; further ones wait their turn."""


@dataclass(frozen=True)
class Seat:
    """One engine with what the settings give it."""

    name: str
    engine: Engine
    max_points: float
    timeout_s: float
    late_s: float = 0.0
    """Further seconds in which its answer is still wanted, though nobody waits for it any more."""
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @property
    def waits(self) -> bool:
        """Whether the engine may wait for something, and so needs a task and a time limit."""
        return getattr(self.engine, "waits", True) is not False


Pending = list[tuple[Seat, "asyncio.Future[Score]"]]


class Verdict:
    """The scores so far, and the engines whose answer may still come.

    Attributes:
        scores: by engine's name; an engine that is late has abstained, with a note.
    """

    def __init__(self, scores: dict[str, EngineScore], pending: Pending) -> None:
        self.scores = scores
        self._pending = pending

    @property
    def is_late(self) -> bool:
        """Whether an answer may still come."""
        return bool(self._pending)

    async def completed(self) -> dict[str, EngineScore]:
        """Wait for the late answers, each within its time; return all scores."""
        scores = dict(self.scores)
        try:
            for seat, task in self._pending:
                done, _ = await asyncio.wait({task}, timeout=seat.late_s)
                late = _answer(task) if done else _too_slow(seat.timeout_s + seat.late_s)
                scores[seat.name] = bounded(late, seat.max_points)
        finally:
            for _, task in self._pending:
                _give_up(task)
        return scores


class Panel:
    """The engines in their order; each sees the scores of those before it."""

    def __init__(self, seats: list[Seat]) -> None:
        self._seats = seats

    @property
    def seats(self) -> list[Seat]:
        """The engines in their order."""
        return list(self._seats)

    @classmethod
    def seated(
        cls, settings: ScorerSettings, request: Request, late_s: Mapping[str, float] | None = None
    ) -> "Panel":
        """Load and build every engine that `scorer.engines` names.

        `late_s`: how long a late answer of an engine is still wanted, where its table does not say.

        Raises:
            PluginFault: an unknown name, a missing extra or a bad table, in one line that names it.
        """
        late = late_s or {}
        seats = [
            _seat(name, settings, request, late.get(name, 0)) for name in dict.fromkeys(settings.engines)
        ]
        return cls(seats)

    def glimpse(self, anomaly: Anomaly) -> dict[str, EngineScore]:
        """Return the scores of the first engines that never wait: of those before one that may."""
        scores: dict[str, EngineScore] = {}
        for seat in self._seats:
            if seat.waits:
                break
            scores[seat.name] = bounded(answered(seat, anomaly, _context(scores)), seat.max_points)
        return scores

    async def judge(self, anomaly: Anomaly, glimpsed: Mapping[str, EngineScore] | None = None) -> Verdict:
        """Return each engine's score by name. An engine that fails or hangs has abstained, with a note.

        `glimpsed`: of those that have judged it already.
        """
        scores = dict(self.glimpse(anomaly) if glimpsed is None else glimpsed)
        pending: Pending = []
        for seat in self._seats[len(scores) :]:
            if seat.waits:
                given = await asked(seat, anomaly, _context(scores), pending)
            else:
                given = answered(seat, anomaly, _context(scores))
            scores[seat.name] = bounded(given, seat.max_points)
        return Verdict(scores, pending)

    async def ask(self, name: str, anomaly: Anomaly) -> Score | None:
        """Return what one engine says of an anomaly within its time, None when it isn't of the panel."""
        seat = next((seat for seat in self._seats if seat.name == name), None)
        if seat is None:
            return None
        if not seat.waits:
            return answered(seat, anomaly, Context())
        pending: Pending = []
        given = await asked(seat, anomaly, Context(), pending)
        for _, task in pending:
            _give_up(task)
        return given

    async def run(self, stop: asyncio.Event) -> None:
        """Let the engines that have work of their own (a coroutine `run`) do it until `stop`.

        One that fails is logged and asked on as before.
        """
        works = [_work(seat) for seat in self._seats if callable(getattr(seat.engine, "run", None))]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _work(seat: Seat) -> None:
    try:
        await seat.engine.run()  # type: ignore[attr-defined]  # looked for by the caller: it is optional
    except Exception:
        log.exception("engine %s: its own work failed; it is asked on", seat.name)


def _seat(name: str, settings: ScorerSettings, request: Request, late_s: float) -> Seat:
    weight = settings.weights.get(name, settings.default_weight)
    if not (math.isfinite(weight) and weight > 0):
        raise PluginFault(f"setting scorer.weights.{name}: {weight:g} is no positive number of points")
    table = dict(settings.engine.get(name, {}))
    if name == "rule":  # the folders are a setting of their own, so that every reader finds them
        table.setdefault("rules", settings.rules)
    turns = _turns(name, table)
    services = EngineServices(settings=table, max_points=weight, request=request)
    timeout_s, late_s = (
        _seconds(name, table, key, default)
        for key, default in (("timeout_s", settings.timeout_s), ("late_s", late_s))
    )
    return Seat(name, _built(name, services), weight, timeout_s, late_s, turns)


def _built(name: str, services: EngineServices) -> Engine:
    factory = plugins.load(GROUP, name)
    try:
        engine = factory(services)
    except PluginFault:
        raise
    except Exception as error:
        text = printable(f"{type(error).__name__}: {error}".replace("\n", "; "), 300)
        raise PluginFault(f"engine {name!r} cannot start: {text}") from error
    if not isinstance(engine, Engine):
        raise PluginFault(f"engine {name!r} is a {type(engine).__name__}, which does not follow the protocol")
    return engine


def _seconds(name: str, table: dict[str, Any], key: str, default: float) -> float:
    value = table.get(key, default)
    if not isinstance(value, int | float) or not (value > 0 or (key == "late_s" and value == 0)):
        raise PluginFault(f"setting scorer.engine.{name}.{key}: {value!r} is no positive number")
    return float(value)


def _turns(name: str, table: dict[str, Any]) -> asyncio.Semaphore:
    value = table.pop("at_once", AT_ONCE)
    if not isinstance(value, int) or value < 1:
        raise PluginFault(f"setting scorer.engine.{name}.at_once: {value!r} is no positive whole number")
    return asyncio.Semaphore(value)


def _context(scores: Mapping[str, EngineScore]) -> Context:
    return Context.model_construct(scores=dict(scores))  # they were checked when they were bounded


def answered(seat: Seat, anomaly: Anomaly, context: Context) -> Score:
    """Return what an engine says that never waits: in place, without a task."""
    try:
        call = seat.engine.score(anomaly, context)
        call.send(None)
    except StopIteration as done:
        return _checked(done.value)
    except Exception as error:  # noqa: BLE001  # whatever an engine raises, it has abstained
        return _failed(error)
    call.close()
    return Score(abstained=True, note="waits, though it says that it never does")


async def asked(seat: Seat, anomaly: Anomaly, context: Context, pending: Pending) -> Score:
    """Return what one engine says within its time; an answer that is wanted late goes into `pending`."""
    # A task of its own, cancelled but not awaited: an engine that swallows the cancellation
    # holds nobody up.
    task = asyncio.ensure_future(_call(seat, anomaly, context))
    try:
        done, _ = await asyncio.wait({task}, timeout=seat.timeout_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        return _answer(task)
    if seat.late_s:
        pending.append((seat, task))
    else:
        _give_up(task)
    return _too_slow(seat.timeout_s, "; the alert follows when it comes" if seat.late_s else "")


def _too_slow(seconds: float, more: str = "") -> Score:
    return Score(abstained=True, note=f"no answer within {seconds:g} s{more}")


def _give_up(task: "asyncio.Future[Score]") -> None:
    if not task.done():
        task.cancel()
        task.add_done_callback(_ignored)


async def _call(seat: Seat, anomaly: Anomaly, context: Context) -> Score:
    # Inside the task, so that what `score` raises before its first await is caught as well. Waiting for
    # a turn counts as the engine's time: it cannot hold up an anomaly for longer.
    async with seat.turns:
        return await seat.engine.score(anomaly, context)


def _answer(task: "asyncio.Future[Score]") -> Score:
    if task.cancelled():
        return Score(abstained=True, note="cancelled itself")
    error = task.exception()
    return _checked(task.result()) if error is None else _failed(error)


def _failed(error: BaseException) -> Score:
    return Score(abstained=True, note=printable(f"{type(error).__name__}: {error}", 200))


def _checked(score: Any) -> Score:
    if type(score) is Score:
        return score  # checked when it is bounded
    if isinstance(score, Score):
        return Score.model_validate(score.model_dump(include=set(Score.model_fields)))
    return Score(abstained=True, note=f"returned a {type(score).__name__} instead of a Score")


def _ignored(task: "asyncio.Future[Score]") -> None:
    if not task.cancelled():
        task.exception()  # asked for, so that the loop does not complain of it

# SPDX-License-Identifier: Apache-2.0
"""One incident: what belongs together, what of it is kept, and when a person is told of it."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from habitus.alerts import Alert, Severity
from habitus.anomalies import Anomaly
from habitus.engines import EngineScore, total
from habitus.events import Container
from habitus_scorer.deeds import container_of, deed_of, pattern_of
from habitus_scorer.severity import MODEL, severity_of, techniques

KEPT: Final = 50
"""Anomalies that an incident keeps whole; the rest is counted."""

CONTAINERS: Final = 4096
DEEDS: Final = 512
"""How many of each an incident tells apart; what comes beyond is folded and not counted as new."""

_GREW: Final = 8
_GRAVE_AT_ONCE: Final = 8
"""Grave deeds that are told at once; a hundred of them are told as growth."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An anomaly with its scores.

    Attributes:
        weighs: it is of weight by itself, rather than a faint departure.
        accuses: what its process starts from now on belongs to it. A weight that a language model alone
            gave to a file or a flow speaks of that step, and accuses no process that is itself ordinary.
        pattern, deed: see `deeds`.
        records: by engine, what stands behind its points for the evidence alone.
    """

    anomaly: Anomaly
    engines: Mapping[str, EngineScore]
    score: float
    severity: Severity
    weighs: bool
    accuses: bool
    pattern: str
    deed: str
    records: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, anomaly: Anomaly, engines: Mapping[str, EngineScore]) -> "Judged":
        """Add up the engines' points; their records are set apart, for no alert carries them."""
        records = {name: score.record for name, score in engines.items() if score.record}
        if records:
            engines = {
                name: score.model_copy(update={"record": {}}) if score.record else score
                for name, score in engines.items()
            }
        score = total(engines)
        severity = severity_of(score, engines)
        weighs = _weighs(severity)
        accuses = weighs and (anomaly.event.op == "exec" or _weighs_without_model(engines))
        repeats = pattern_of(anomaly, weighs=weighs), deed_of(anomaly)
        return cls(anomaly, engines, score, severity, weighs, accuses, *repeats, records)


def _weighs(severity: Severity) -> bool:
    return severity.rank >= Severity.MEDIUM.rank


def _weighs_without_model(engines: Mapping[str, EngineScore]) -> bool:
    others = {name: score for name, score in engines.items() if name != MODEL}
    return _weighs(severity_of(total(others), others))


class Term(NamedTuple):
    """What one engine gave."""

    engine: str
    points: float
    max_points: float
    abstained: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of an anomaly that does not speak for its incident."""

    anomaly: Anomaly
    score: float
    techniques: tuple[str, ...]
    deed: str
    terms: tuple[Term, ...]

    @classmethod
    def of(cls, judged: Judged) -> "Kept":
        """Leave the engines' words behind: they are in SCORES."""
        terms = tuple(
            Term(name, one.points, one.max_points, one.abstained) for name, one in judged.engines.items()
        )
        found = tuple(techniques(judged.engines))
        return cls(judged.anomaly, judged.score, found, judged.deed, terms)


@dataclass(slots=True)
class Seen:
    """A container that an incident has reached."""

    container: Container
    node: str | None
    count: int = 0


@dataclass
class Incident:
    """What belongs together. `raised` is the severity that a person was told, None before.

    Attributes:
        containers: those it has reached, by id, the first one first.
        accused: whether any of its anomalies accuses, see `Judged`.
        deeds: what was done, see `deeds.deed_of`; `grave`: those among them of severity high or above.
        told, told_containers, told_deeds, told_grave, told_score: as they stood in the newest alert.
        told_before: anomalies of the alert that a former scorer raised; what it did not score comes again.
        growths: revisions told because it grew.
        turn: held by who publishes its alert: it may be fed from several lanes.
    """

    id: str
    best: Judged
    kept: list[Kept] = field(default_factory=list)
    count: int = 0
    accused: bool = False
    containers: dict[str, Seen] = field(default_factory=dict)
    deeds: set[str] = field(default_factory=set)
    grave: set[str] = field(default_factory=set)
    first_seen: int = 0
    last_seen: int = 0
    raised: Severity | None = None
    revision: int = 0
    told: int = 0
    told_containers: int = 0
    told_deeds: int = 0
    told_grave: int = 0
    told_score: float = 0.0
    told_before: frozenset[str] = frozenset()
    growths: int = 0
    latency_ms: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def alert_id(self) -> str:
        """The id of the alert that this incident raises."""
        return f"a-{self.id.removeprefix('i-')}"

    @property
    def omitted(self) -> int:
        """Anomalies that were counted and not kept."""
        return self.count - len(self.kept)

    @property
    def weighs(self) -> bool:
        """Whether any of its anomalies is of weight by itself."""
        return self.best.weighs

    def add(self, judged: Judged) -> None:
        """Take one anomaly in; the first are kept, then the first of each deed, and the weightiest always."""
        self.count += 1
        self.accused |= judged.accuses
        better = (judged.severity.rank, judged.score) > (self.best.severity.rank, self.best.score)
        if better:
            self.best = judged
        fresh = judged.deed not in self.deeds
        if fresh and len(self.deeds) < DEEDS:
            self.deeds.add(judged.deed)
        grave = judged.severity.rank >= Severity.HIGH.rank and judged.deed not in self.grave
        if grave and len(self.grave) < DEEDS:
            self.grave.add(judged.deed)
        if len(self.kept) < KEPT:
            self.kept.append(Kept.of(judged))
        elif fresh or better or grave:
            self._make_room_for(judged, must=better or grave)
        event = judged.anomaly.event
        self.first_seen = min(self.first_seen or event.ts, event.ts)
        self.last_seen = max(self.last_seen, event.ts)
        self._reach(judged.anomaly)

    def _make_room_for(self, judged: Judged, *, must: bool) -> None:
        """Put it in the place of a deed that is there again, or, if it must be kept, of the faintest."""
        often = Counter(kept.deed for kept in self.kept)
        repeated = [
            at for at, kept in enumerate(self.kept)
            if often[kept.deed] > 1 and kept.anomaly is not self.best.anomaly
        ]  # fmt: skip
        if repeated or must:
            faintest = min(range(len(self.kept)), key=lambda at: (self.kept[at].score, -at))
            self.kept[repeated[-1] if repeated else faintest] = Kept.of(judged)

    def _reach(self, anomaly: Anomaly) -> None:
        name = container_of(anomaly)
        seen = self.containers.get(name)
        if seen is None:
            if len(self.containers) >= CONTAINERS:
                return
            seen = self.containers[name] = Seen(anomaly.event.container, anomaly.event.node)
        seen.count += 1

    def amend(self, judged: Judged) -> bool:
        """Put a later judgement of one of its anomalies in place; say whether it speaks for the incident."""
        for at, kept in enumerate(self.kept):
            if kept.anomaly.id == judged.anomaly.id:
                self.kept[at] = Kept.of(judged)
        self.accused |= judged.accuses
        best = self.best
        better = (judged.severity.rank, judged.score) > (best.severity.rank, best.score)
        if better or best.anomaly.id == judged.anomaly.id:
            self.best = judged
        return self.best is judged

    def due(self, alert_at: float) -> bool:
        """Say whether a person is to be told now: the first time, on a higher severity, of a grave deed.

        A release in which an attack hides is one incident with it: what is grave does not wait until it grew.
        """
        if self.best.score < alert_at:
            return False
        if self.raised is None or self.best.severity.rank > self.raised.rank:
            return True
        return self.told_grave < min(len(self.grave), _GRAVE_AT_ONCE)

    @property
    def grown(self) -> bool:
        """Whether a person who was told is to know more: another container, another deed, twice as many."""
        more = len(self.containers) > self.told_containers or len(self.deeds) > self.told_deeds
        return self.raised is not None and (more or self.count >= max(_GREW, 2 * self.told))

    def corrected_by(self, judged: Judged) -> bool:
        """Say whether an anomaly that a former scorer told of speaks for the incident otherwise now."""
        known = judged.anomaly.id in self.told_before
        return known and self.best is judged and self.best.score != self.told_score

    def tell(self, alert: Alert) -> None:
        """Record that `alert` is out; what came while it was being published is not told yet."""
        self.revision = alert.revision
        self.raised = alert.severity
        self.told = len(alert.departures) + alert.omitted
        self.told_containers = alert.summary.container_count
        self.told_deeds = alert.summary.deeds
        self.told_grave = alert.summary.grave
        self.told_score = alert.score
        self.latency_ms = alert.latency_ms

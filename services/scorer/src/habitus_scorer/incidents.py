# SPDX-License-Identifier: Apache-2.0
"""Folds anomalies of one container and process lineage into incidents: one attack, one incident.

Pure and without clock: the same anomalies in the same order give the same incidents and ids.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeVar

from habitus.alerts import Alert, Severity
from habitus.anomalies import Anomaly
from habitus.engines import EngineScore, total
from habitus_scorer.severity import severity_of, techniques

Key = TypeVar("Key")

KEPT: Final = 50
"""Anomalies that an incident keeps whole; the rest is counted."""

LINEAGE_S: Final = 3600.0
"""A process of an incident draws its children in for so long after the last departure."""

_INCIDENTS: Final = 4096
_KEPT_IN_ALL: Final = 10_000
_PIDS: Final = 4096
_GREW: Final = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """An anomaly with its scores."""

    anomaly: Anomaly
    engines: Mapping[str, EngineScore]
    score: float
    severity: Severity

    @classmethod
    def of(cls, anomaly: Anomaly, engines: Mapping[str, EngineScore]) -> "Judged":
        """Add up the engines' points."""
        score = total(engines)
        return cls(anomaly, engines, score, severity_of(score, engines))


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of an anomaly that does not speak for its incident."""

    anomaly: Anomaly
    score: float
    techniques: tuple[str, ...]

    @classmethod
    def of(cls, judged: Judged) -> "Kept":
        """Leave the engines' scores behind: they are in SCORES."""
        return cls(judged.anomaly, judged.score, tuple(techniques(judged.engines)))


@dataclass
class Incident:
    """What belongs together. `raised` is the severity that a person was told, None before.

    `pids`: the processes, and whether each is a culprit: its departure weighs, or its parent is one.
    """

    id: str
    container: str
    best: Judged
    kept: list[Kept] = field(default_factory=list)
    count: int = 0
    pids: dict[int, bool] = field(default_factory=dict)
    patterns: set[str] = field(default_factory=set)
    first_seen: int = 0
    last_seen: int = 0
    raised: Severity | None = None
    revision: int = 0
    told: int = 0
    told_score: float = 0.0
    told_before: frozenset[str] = frozenset()
    """Anomalies of the alert that a former scorer raised: what it did not score comes again."""
    latency_ms: float = 0.0

    @property
    def alert_id(self) -> str:
        """The id of the alert that this incident raises."""
        return f"a-{self.id.removeprefix('i-')}"

    @property
    def omitted(self) -> int:
        """Anomalies that were counted and not kept."""
        return self.count - len(self.kept)

    def add(self, judged: Judged) -> None:
        """Take one anomaly in; of many the first are kept, and the weightiest in any case."""
        self.count += 1
        better = (judged.severity.rank, judged.score) > (self.best.severity.rank, self.best.score)
        if better:
            self.best = judged
        if len(self.kept) < KEPT:
            self.kept.append(Kept.of(judged))
        elif better:
            self.kept[-1] = Kept.of(judged)
        moment = judged.anomaly.event.ts
        self.first_seen = min(self.first_seen or moment, moment)
        self.last_seen = max(self.last_seen, moment)

    def amend(self, judged: Judged) -> bool:
        """Put a later judgement of one of its anomalies in place; say whether it speaks for the incident."""
        for at, kept in enumerate(self.kept):
            if kept.anomaly.id == judged.anomaly.id:
                self.kept[at] = Kept.of(judged)
        best = self.best
        better = (judged.severity.rank, judged.score) > (best.severity.rank, best.score)
        if better or best.anomaly.id == judged.anomaly.id:
            self.best = judged
        return self.best is judged

    def due(self, alert_at: float) -> bool:
        """Say whether a person is to be told now: first, on a higher severity, on doubled growth."""
        if self.best.score < alert_at:
            return False
        if self.raised is None or self.best.severity.rank > self.raised.rank:
            return True
        return self.count >= max(_GREW, 2 * self.told)

    def corrected_by(self, judged: Judged) -> bool:
        """Say whether an anomaly that a former scorer told of speaks for the incident otherwise now."""
        known = judged.anomaly.id in self.told_before
        return known and self.best is judged and self.best.score != self.told_score

    def tell(self) -> None:
        """Record that the next revision of the alert is out."""
        self.revision += 1
        self.raised = self.best.severity
        self.told = self.count
        self.told_score = self.best.score


class IncidentBook:
    """The open incidents, by process and by pattern; the least recently touched leave first."""

    def __init__(self, cooldown_s: float) -> None:
        self._cooldown_s = cooldown_s
        self._incidents: OrderedDict[str, Incident] = OrderedDict()
        self._by_pid: dict[tuple[str, int], str] = {}
        self._by_pattern: dict[tuple[str, str], str] = {}
        self._raised: dict[str, Alert] = {}
        self._kept = 0

    def __len__(self) -> int:
        return len(self._incidents)

    def fold(self, judged: Judged) -> Incident:
        """Add one anomaly to the incident that it belongs to, or open one for it."""
        container = container_of(judged.anomaly)
        # Its own incident may stand already: others of it were scored before a restart, it was not.
        own = f"i-{_digest(container, judged.anomaly.id)}"
        incident = self._found(container, judged.anomaly) or self._incidents.get(own)
        return self._add(incident or self._opened(own, judged), judged)

    def restore(self, judged: Judged, incident_id: str) -> None:
        """Put one anomaly back into the incident that it was folded into before a restart."""
        incident = self._incidents.get(incident_id) or self._opened(incident_id, judged)
        self._add(incident, judged)

    def restore_alert(self, alert: Alert) -> None:
        """Remember, before any anomaly is restored or folded, that `alert` was raised."""
        self._raised[alert.incident] = alert

    def _opened(self, incident_id: str, judged: Judged) -> Incident:
        incident = Incident(id=incident_id, container=container_of(judged.anomaly), best=judged)
        alert = self._raised.pop(incident_id, None)
        if alert is not None:
            incident.revision = alert.revision
            incident.raised = alert.severity
            incident.told_score = alert.score
            incident.told_before = frozenset(one.anomaly_id for one in alert.departures)
            incident.latency_ms = alert.latency_ms
            incident.told = len(alert.departures) + alert.omitted
        return incident

    def _found(self, container: str, anomaly: Anomaly) -> Incident | None:
        incident = self._related(container, anomaly)
        if incident is not None:
            return incident
        incident = self._incidents.get(self._by_pattern.get((container, pattern_of(anomaly)), ""))
        return incident if incident and _within(incident, anomaly.event.ts, self._cooldown_s) else None

    def _related(self, container: str, anomaly: Anomaly) -> Incident | None:
        """Return the incident that the process has a part in, or that its parent is a culprit of."""
        process = anomaly.event.process
        for pid in (process.pid, process.ppid) if process else ():
            incident = self._incidents.get(self._by_pid.get((container, pid or 0), ""))
            if incident is None or not _within(incident, anomaly.event.ts, LINEAGE_S):
                continue
            # A server that once read a strange file is no culprit: its children are not all of one attack.
            if process and (pid == process.pid or incident.pids.get(pid or 0)):
                return incident
        return None

    def _draws_in(self, incident: Incident, judged: Judged) -> bool:
        # A faint departure that only repeats a pattern must not pull what its process does next into
        # an old incident: another attack often begins with the same small step.
        if not incident.count or judged.severity.rank >= incident.best.severity.rank:
            return True
        return self._related(incident.container, judged.anomaly) is incident

    def _add(self, incident: Incident, judged: Judged) -> Incident:
        kept, draws_in = len(incident.kept), self._draws_in(incident, judged)
        incident.add(judged)
        self._kept += len(incident.kept) - kept
        self._incidents[incident.id] = incident
        self._incidents.move_to_end(incident.id)
        self._index(incident, judged, with_process=draws_in)
        while len(self._incidents) > 1 and (len(self._incidents) > _INCIDENTS or self._kept > _KEPT_IN_ALL):
            self._forget(self._incidents.popitem(last=False)[1])
        return incident

    def _index(self, incident: Incident, judged: Judged, *, with_process: bool) -> None:
        anomaly = judged.anomaly
        pattern = pattern_of(anomaly)
        if len(incident.patterns) < _PIDS or pattern in incident.patterns:
            incident.patterns.add(pattern)
            self._by_pattern[incident.container, pattern] = incident.id
        process = anomaly.event.process
        pid = process.pid if process else None
        if process and pid and with_process:
            culprit = judged.severity.rank >= Severity.MEDIUM.rank
            inherited = incident.pids.get(pid) or incident.pids.get(process.ppid or 0)
            incident.pids[pid] = culprit or bool(inherited)
            self._by_pid[incident.container, pid] = incident.id
            if len(incident.pids) > _PIDS:
                oldest = next(iter(incident.pids))
                del incident.pids[oldest]
                _unlink(self._by_pid, (incident.container, oldest), incident.id)

    def _forget(self, incident: Incident) -> None:
        self._kept -= len(incident.kept)
        for pid in incident.pids:
            _unlink(self._by_pid, (incident.container, pid), incident.id)
        for pattern in incident.patterns:
            _unlink(self._by_pattern, (incident.container, pattern), incident.id)


def _unlink(index: dict[Key, str], key: Key, incident_id: str) -> None:
    if index.get(key) == incident_id:
        del index[key]


def container_of(anomaly: Anomaly) -> str:
    """Return what an incident is bound to: the container's id, else the image key."""
    return anomaly.event.container.id or anomaly.image_key


def pattern_of(anomaly: Anomaly) -> str:
    """Return a digest of what repeats when the same departure happens again."""
    return _digest(anomaly.image_key, anomaly.reason, *anomaly.path)


def _within(incident: Incident, moment: int, seconds: float) -> bool:
    return moment - incident.last_seen <= seconds * 1e9


def _digest(*parts: str) -> str:
    # Lengths first: no two lists of parts give the same bytes.
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(joined.encode(), digest_size=8).hexdigest()

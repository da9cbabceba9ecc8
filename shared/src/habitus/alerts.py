# SPDX-License-Identifier: Apache-2.0
"""The alert: the scored, explained result that a person sees, and the score of each anomaly."""

from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from habitus.anomalies import Reason
from habitus.engines import EngineScore
from habitus.languages import Bilingual
from habitus.policies import SuggestedAction

SCHEMA: Final = "1.0"


class Severity(StrEnum):
    """From what may wait to what may not; compare by `rank`."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 (info) … 4 (critical)."""
        return _RANKS[self]

    @property
    def label(self) -> Bilingual:
        """The word that stands before a title."""
        return _LABELS[self]


_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}
_LABELS: Final = {
    Severity.INFO: Bilingual(en="Info", zh="提示"),
    Severity.LOW: Bilingual(en="Low", zh="低危"),
    Severity.MEDIUM: Bilingual(en="Medium", zh="中危"),
    Severity.HIGH: Bilingual(en="High", zh="高危"),
    Severity.CRITICAL: Bilingual(en="Critical", zh="严重"),
}


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore")

    schema_version: str = SCHEMA


class Where(BaseModel):
    """The container in which it happened, by every name that helps to find it."""

    node: str | None = None
    namespace: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    container: str | None = None
    container_id: str | None = None
    image: str
    image_digest: str | None = None


class Who(BaseModel):
    """The process that departed from the profile. `lineage` goes from the first process down to it."""

    pid: int | None = None
    uid: int | None = None
    name: str
    exe: str | None = None
    argv: list[str] = []
    lineage: list[str] = []


class Departure(BaseModel):
    """One anomaly inside an alert.

    `deed`: a digest, equal for all anomalies of one image that are the same deed; empty in old alerts.
    """

    anomaly_id: str
    event_id: str
    reason: Reason
    path: list[str]
    detail: str
    usual: list[str] = []
    score: float
    deed: str = ""


class Moment(BaseModel):
    """One line of an incident's timeline.

    `ts` is nanoseconds since the epoch; `what` is the command line, path or peer, cut, as observed.
    """

    ts: int
    container: str | None = None
    pid: int | None = None
    process: str
    op: str
    what: str = ""
    reason: Reason
    score: float
    anomaly_id: str


class Summary(BaseModel):
    """An incident at a glance: each list is bounded, oldest first; the counts are of all.

    Attributes:
        files: paths, and `peers` names or addresses with port, of its departures.
        containers: those it reached, the first one first.
        container_count, deeds: how many containers, how many different deeds; `grave` of them high or above.
        last_seen: nanoseconds since the epoch; 0 in old alerts.
    """

    timeline: list[Moment] = []
    processes: list[Who] = []
    files: list[str] = []
    peers: list[str] = []
    containers: list[Where] = []
    container_count: int = 1
    deeds: int = 1
    grave: int = 0
    last_seen: int = 0


class Alert(_Record):
    """What a person is told, once, with the reason, the evidence and what to do.

    Attributes:
        id: deterministic, the same after a restart.
        revision: grows when the incident behind the alert grew; consumers show the newest.
        severity, title, advice: title as `High: container cryptomining`, `高危：容器挖矿行为检测`.
        score: 0 … 100; `engines` says who gave what and who abstained.
        explanation: the language model's, where one answered.
        raised, first_seen: nanoseconds since the epoch; `latency_ms` from the kernel to the alert.
        events: the events themselves, in the interchange format.
        omitted: departures of the incident beyond those listed here, which are bounded.
        summary: the incident behind the alert at a glance.
    """

    id: str
    incident: str
    revision: int = 1
    severity: Severity
    title: Bilingual
    advice: Bilingual
    explanation: Bilingual | None = None
    score: float = Field(ge=0, le=100)
    engines: dict[str, EngineScore]
    techniques: list[str] = []
    where: Where
    who: Who
    departures: list[Departure]
    action: SuggestedAction | None = None
    first_seen: int
    raised: int
    latency_ms: float
    events: list[dict[str, Any]]
    omitted: int = 0
    summary: Summary = Summary()


class ScoredAnomaly(_Record):
    """The verdict on one anomaly, whether or not a person is told (stream SCORES).

    `habits` and `replicas` are the anomaly's own; `place` is its Pod, or its container where there is no Pod.
    """

    anomaly_id: str
    event_id: str
    image_key: str
    reason: Reason
    path: list[str]
    detail: str
    score: float = Field(ge=0, le=100)
    engines: dict[str, EngineScore]
    incident: str
    alert: str | None = None
    scored: int
    habits: list[str] = []
    place: str = ""
    replicas: int = 0

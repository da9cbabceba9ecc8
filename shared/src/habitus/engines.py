# SPDX-License-Identifier: Apache-2.0
"""The protocol of a scoring engine: a plugin that scores one anomaly.

A third party installs a package with an entry point in the group `habitus.engines` that names a
callable taking `EngineServices` and returning an `Engine`. Built-in engines use the same door.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from habitus.anomalies import Anomaly
from habitus.languages import Bilingual

GROUP = "habitus.engines"


class Finding(BaseModel):
    """One piece of evidence: which rule, cluster or model says what.

    `level` is Sigma's: informational, low, medium, high, critical.
    """

    id: str
    title: Bilingual
    detail: str = ""
    advice: Bilingual | None = None
    level: str = "medium"
    techniques: list[str] = []


class Score(BaseModel):
    """An engine's answer on one anomaly.

    Attributes:
        points: 0 … the engine's `max_points`.
        confidence: 0 … 1, how sure the engine is of its points.
        findings: the evidence.
        abstained: the engine could not judge; its points do not count, nor does its maximum.
        note: one line for a person, e.g. why it abstained.
        explanation: prose for a person, in both languages (language models give one).
        record: what else stands behind the points (versions, questions, answers), as JSON has it. It goes
            into the evidence bundle of an alert alone, and comes back to `again`.
    """

    points: float = 0.0
    confidence: float = Field(default=1.0, ge=0, le=1)
    findings: list[Finding] = []
    abstained: bool = False
    note: str = ""
    explanation: Bilingual | None = None
    record: dict[str, Any] = {}


class EngineScore(Score):
    """A score as the scorer recorded it, beside what the engine could have given."""

    max_points: float


class Context(BaseModel):
    """What else an engine may know: the scores of the engines configured before it."""

    scores: dict[str, EngineScore] = {}


class EngineServices(BaseModel):
    """What an engine is built from.

    Attributes:
        settings: the table `[scorer.engine.<name>]` of the settings file, as it stands.
        max_points: the weight that the settings give this engine.
        request: sends a request on the bus and returns the reply's bytes
            (subject, payload, timeout in seconds); raises TimeoutError when nobody answers.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    settings: Mapping[str, Any] = {}
    max_points: float
    request: Callable[[str, bytes, float], Awaitable[bytes]]


@runtime_checkable
class Engine(Protocol):
    """A plugin that scores one anomaly. It may raise or hang: the scorer then has it abstain.

    One whose `score` never waits for anything may say so with `waits = False`: it is called in place.
    """

    name: str
    max_points: float

    async def score(self, anomaly: Anomaly, context: Context) -> Score:
        """Judge one anomaly."""
        ...


EngineFactory = Callable[[EngineServices], Engine]


def bounded(score: Score, max_points: float) -> EngineScore:
    """Return `score` as recorded: points inside 0 … max_points; NaN becomes an abstention."""
    if score.abstained or not math.isfinite(score.points):
        note = score.note or ("" if score.abstained else f"gave {score.points} points")
        fields = dict(score) | {"points": 0.0, "abstained": True, "note": note}
    else:
        fields = dict(score) | {"points": min(max(score.points, 0.0), max_points)}
    return EngineScore(**fields, max_points=max_points)


def total(scores: Mapping[str, EngineScore]) -> float:
    """Return 0 … 100: the points given, scaled to what those who did not abstain could have given."""
    voted = [score for score in scores.values() if not score.abstained]
    possible = sum(score.max_points for score in voted)
    return round(100 * sum(score.points for score in voted) / possible, 1) if possible else 0.0

# SPDX-License-Identifier: Apache-2.0
"""The cluster engine: one replica of many that departs is an outlier; all of them are a release.

It adds to what others find and raises nothing alone: 20 of the 65 points of profile, rule and cluster. What
a rule of level high or critical names is an attack on however many replicas: there it never takes away.
"""

import asyncio
import logging
from collections import OrderedDict
from typing import Any, Final, NamedTuple

import pydantic

from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineServices, Finding, Score, total
from habitus.languages import Bilingual
from habitus.text import printable
from habitus_scorer.cluster.window import NOISE, Pattern, Window, fitted

log = logging.getLogger(__name__)

DRIFT: Final = "cluster/release-drift"
_OUTLIER_TITLE: Final = Bilingual(
    en="one replica of many does what the others do not", zh="众多副本中仅个别副本出现该行为"
)
_DRIFT_TITLE: Final = Bilingual(
    en="release drift: the replicas of this workload changed together",
    zh="版本变更：该工作负载的各副本同时出现相同变化",
)
_DRIFT_ADVICE: Final = Bilingual(
    en="Nearly all replicas show the same departure: most likely a release. If it was planned, let the "
    "profile relearn; if nobody released anything, look for a change of the image or of its configuration.",
    zh="几乎所有副本都出现相同的偏离，很可能是版本发布。若属计划内变更，请让画像重新学习；若无人发布，请核查镜像或配置是否被篡改。",
)
_FEW: Final = 3
_ALL: Final = 0.8
_RARE: Final = 0.05
_KNOWN_KIND: Final = 0.6
"""What a cluster of its kind takes from an outlier: other anomalies resemble it."""
_NOTICES: Final = 1024
_GRAVE: Final = frozenset({"high", "critical"})


class _Own(pydantic.BaseModel):
    """The table `[scorer.engine.cluster]`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    window_s: float = pydantic.Field(default=3600, gt=0)
    fit_s: float = pydantic.Field(default=30, gt=0)
    timeout_s: float = pydantic.Field(default=5, gt=0)


class _Seen(NamedTuple):
    """What the points depend on: replicas that show it, replicas known, and whether it has a cluster."""

    shown: int
    replicas: int
    workload: str
    of_a_kind: bool

    @property
    def is_drift(self) -> bool:
        return self.shown >= _FEW and self.shown / self.replicas >= _ALL

    @property
    def detail(self) -> str:
        return f"{self.shown} of {self.replicas} replicas of {printable(self.workload, 200)}"


class ClusterEngine:
    """Compares an anomaly with the recent ones of all replicas of its workload."""

    name = "cluster"
    waits = False

    def __init__(self, services: EngineServices) -> None:
        self.max_points = services.max_points
        self._own = _Own.model_validate(dict(services.settings))
        self.window = Window(self._own.window_s)
        self._told: OrderedDict[tuple[str, object], int] = OrderedDict()

    async def score(self, anomaly: Anomaly, context: Context) -> Score:
        """Return max_points for one replica alone, none for all.

        Abstains where fewer than three are known, and where it would lower what a grave rule hit gives.
        """
        pattern = self.window.add(anomaly)
        shown = self.window.spread(pattern)
        replicas = max(anomaly.replicas, self.window.seen(pattern.workload))
        seen = _Seen(shown, replicas, pattern.workload, pattern.label != NOISE)
        score = self._judged(seen, context)
        if seen.is_drift and not score.abstained:
            score.findings = self._drift(pattern, anomaly.event.ts, seen.detail)
        return score

    async def again(self, anomaly: Anomaly, context: Context, record: dict[str, Any]) -> Score:
        """Judge by the spread that was recorded: the window of that day is gone."""
        del anomaly
        return self._judged(_Seen(**record), context)

    def _judged(self, seen: "_Seen", context: Context) -> Score:
        record = seen._asdict()
        if seen.replicas < _FEW:
            note = f"{seen.replicas} replicas known: too few to compare"
            return Score(abstained=True, note=note, record=record)
        spread = seen.shown / seen.replicas
        kind = _KNOWN_KIND if seen.of_a_kind else 1.0
        points = self.max_points * kind * max(0.0, 1 - max(0.0, spread - 1 / seen.replicas) / _ALL)
        if _is_grave(context) and 100 * points / self.max_points < total(context.scores):
            note = f"seen on {seen.detail}, which excuses no attack"
            return Score(abstained=True, note=note, record=record)
        if seen.is_drift:
            return Score(note=f"drift: {seen.detail}", record=record)
        rare = seen.shown == 1 or spread <= _RARE
        return Score(
            points=round(points, 2),
            findings=[_outlier(seen.detail)] if rare else [],
            note=f"seen on {seen.detail}",
            record=record,
        )

    async def run(self) -> None:
        """Fit anew from time to time, beside the loop; between fits new anomalies join known clusters."""
        while True:
            await asyncio.sleep(self._own.fit_s)
            if self.window.fresh:
                await self.refit()

    async def refit(self) -> None:
        """Cluster the window's patterns now."""
        self.window.take(await asyncio.to_thread(fitted, self.window.to_fit()))

    def _drift(self, pattern: Pattern, moment: int, detail: str) -> list[Finding]:
        """Return the notice, once for each workload within a window."""
        told = self._told.get((pattern.workload, DRIFT))
        if told is not None and moment - told < self._own.window_s * 1e9:
            return []
        self._told[pattern.workload, DRIFT] = moment
        if len(self._told) > _NOTICES:
            self._told.popitem(last=False)
        log.info("release-drift: %s", detail)
        return [
            Finding(id=DRIFT, title=_DRIFT_TITLE, detail=detail, advice=_DRIFT_ADVICE, level="informational")
        ]


def _is_grave(context: Context) -> bool:
    voted = [one for one in context.scores.values() if not one.abstained]
    return any(finding.level in _GRAVE for one in voted for finding in one.findings)


def _outlier(detail: str) -> Finding:
    return Finding(id="cluster/outlier", title=_OUTLIER_TITLE, detail=detail, level="low")

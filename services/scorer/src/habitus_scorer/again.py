# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_scorer.again`: takes a decision again from the evidence bundle on standard input.

The engines that the settings name judge the same anomalies. What an engine depended on beside the
anomaly (replicas of that day, a model's answer) comes from the bundle's record, or is asked anew with
`--ask`. One JSON object (`habitus.repeats.Repeat`) goes to standard output.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from habitus import settings as settings_of
from habitus.anomalies import Anomaly
from habitus.bus import Bus, BusFault
from habitus.engines import Context, EngineScore, Score, bounded, total
from habitus.evidence import Evidence, EvidenceFault, JudgedAnomaly, Term
from habitus.plugins import PluginFault
from habitus.repeats import AnomalyRepeat, EngineRepeat, How, Repeat
from habitus.settings import Settings, SettingsFault
from habitus.text import printable
from habitus_scorer import blind
from habitus_scorer.panel import Panel, Request, Seat, asked
from habitus_scorer.severity import severity_of

_MODEL: Final = "llm"
_PATIENT_S: Final = 5.0


@dataclass
class _FromRecord:
    """An engine that judges from what was recorded."""

    name: str
    max_points: float
    engine: Any
    record: dict[str, Any]

    async def score(self, anomaly: Anomaly, context: Context) -> Score:
        score: Score = await self.engine.again(anomaly, context, self.record)
        return score


async def repeated(evidence: Evidence, panel: Panel, *, ask: bool = False) -> Repeat:
    """Judge every anomaly of the bundle again; with `ask` the language model is asked about the first.

    Raises:
        EvidenceFault: an anomaly of the bundle cannot be read.
    """
    anomalies = [await _repeated(one, evidence, panel, ask=ask) for one in evidence.anomalies]
    if not anomalies:
        raise EvidenceFault("the bundle holds no anomaly")
    (first, scores), alert = anomalies[0], evidence.alert
    severity = severity_of(first.now, scores)
    repeats = [repeat for repeat, _ in anomalies]
    return Repeat(
        alert=alert.id,
        same=all(one.same for one in repeats) and severity is alert.severity,
        severity_then=alert.severity,
        severity_now=severity,
        told=alert.score >= evidence.alert_at,
        tells=first.now >= evidence.alert_at,
        anomalies=repeats,
        changed=_changed(evidence.records.get("rule", {}), scores.get("rule")),
    )


async def _repeated(
    kept: JudgedAnomaly, evidence: Evidence, panel: Panel, *, ask: bool
) -> tuple[AnomalyRepeat, Mapping[str, EngineScore]]:
    anomaly = kept.as_anomaly()
    decisive = anomaly.id == evidence.decisive
    scores: dict[str, EngineScore] = {}
    engines: dict[str, EngineRepeat] = {}
    if anomaly.reason == blind.REASON:
        scores = blind.scores_of(anomaly)
        engines = {name: _compared("judged", kept.terms.get(name), score) for name, score in scores.items()}
    for seat in () if scores else panel.seats:
        then = kept.terms.get(seat.name)
        record = evidence.records.get(seat.name) if decisive else None
        recorded = evidence.alert.engines.get(seat.name) if decisive else None
        how, score = await _judged(seat, anomaly, Context(scores=scores), record, ask=ask and decisive)
        if score is None:
            score = recorded or (EngineScore(**then.model_dump()) if then else None)
        if score is not None:
            scores[seat.name] = score
        engines[seat.name] = _compared(how, then, score)
    for name, then in kept.terms.items():
        engines.setdefault(name, EngineRepeat(how="left out", then=then))
    process = printable(anomaly.event.process_name, 100)
    repeat = AnomalyRepeat(
        anomaly_id=anomaly.id, process=process, then=kept.score, now=total(scores), engines=engines
    )
    return repeat, scores


async def _judged(
    seat: Seat, anomaly: Anomaly, context: Context, record: dict[str, Any] | None, *, ask: bool
) -> tuple[How, EngineScore | None]:
    """Return how an engine comes to its points now; None: by those that are recorded."""
    asks = ask and seat.name == _MODEL
    if not asks and hasattr(seat.engine, "again"):
        if not record or "left_out" in record:
            return "recorded", None
        seat = replace(seat, engine=_FromRecord(seat.name, seat.max_points, seat.engine, record))
    patient = replace(seat, timeout_s=seat.timeout_s + seat.late_s, late_s=0)
    given = await asked(patient, anomaly, context, [])
    return "asked" if asks else "judged", bounded(given, seat.max_points)


def _compared(how: How, then: Term | None, score: EngineScore | None) -> EngineRepeat:
    now = score and Term(points=score.points, max_points=score.max_points, abstained=score.abstained)
    return EngineRepeat(how=how, then=then, now=now, note=printable(score.note, 200) if score else "")


def _changed(then: dict[str, Any], now: EngineScore | None) -> list[str]:
    versions = (then.get("rules", {}), now.record.get("rules", {}) if now else {})
    names = {name for one in versions if isinstance(one, dict) for name in one}
    return sorted(printable(name, 200) for name in names if versions[0].get(name) != versions[1].get(name))


async def _run(evidence: Evidence, loaded: Settings, *, ask: bool) -> Repeat:
    async def nobody(subject: str, payload: bytes, seconds: float) -> bytes:
        del payload, seconds
        raise TimeoutError(f"{subject} is not asked in a replay")

    def seated(request: Request) -> Panel:
        return Panel.seated(loaded.scorer, request, {_MODEL: loaded.llm.patience_s + _PATIENT_S})

    if not ask:
        return await repeated(evidence, seated(nobody))
    async with Bus(loaded.nats, "again") as bus:
        return await repeated(evidence, seated(bus.request), ask=True)


def main() -> int:
    """Read a bundle, print the repetition; a fault is one line on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="habitus_scorer.again", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ask", action="store_true", help="ask the language model anew")
    ask = parser.parse_args().ask
    try:
        evidence = Evidence.unpack(sys.stdin.buffer.read())
        repeat = asyncio.run(_run(evidence, settings_of.load(), ask=ask))
    except (EvidenceFault, PluginFault, SettingsFault, BusFault) as fault:
        sys.stderr.write(printable(str(fault), 500) + "\n")
        return 1
    sys.stdout.write(repeat.model_dump_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

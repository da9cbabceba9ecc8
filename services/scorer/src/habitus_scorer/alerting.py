# SPDX-License-Identifier: Apache-2.0
"""From an incident to the alert that a person sees."""

from typing import Any, Final

from habitus.alerts import Alert, Departure
from habitus.anomalies import Anomaly
from habitus.engines import EngineScore
from habitus.events import Event, as_record
from habitus.languages import Bilingual
from habitus_scorer import advice, containing, severity
from habitus_scorer.glance import cut_list, summary_of, where_of, who_of
from habitus_scorer.incident import Incident, Kept

_LONG_ARGUMENTS: Final = 6144
"""Characters of an event's arguments in an alert: fifty of them still fit one message of the broker."""


def alert_of(incident: Incident, newest: Anomaly, now: int) -> Alert:
    """Return the alert of an incident as it stands, in its next revision.

    The weightiest anomaly gives title, place, process and scores. `newest` is the one that raised
    this revision: latency counts from its event. `now` is in nanoseconds since the epoch.
    """
    best = incident.best
    event = best.anomaly.event
    finding = severity.speaking(best.engines)
    title = finding.title if finding else advice.title_of(best.anomaly)
    label = best.severity.label
    action = containing.action_of(incident, now)
    return Alert(
        id=incident.alert_id,
        incident=incident.id,
        revision=incident.revision + 1,
        severity=best.severity,
        title=Bilingual(en=f"{label.en}: {title.en}", zh=f"{label.zh}：{title.zh}"),
        advice=advice.advice_of(finding.advice if finding else None, action, incident.alert_id),
        explanation=_explanation(best.engines.get(severity.MODEL)),
        score=best.score,
        engines=dict(best.engines),
        techniques=_techniques(incident),
        where=where_of(best.anomaly),
        who=who_of(event),
        departures=[_departure(kept) for kept in incident.kept],
        action=action,
        first_seen=incident.first_seen,
        raised=now,
        latency_ms=round((now - newest.event.ts) / 1e6, 3),
        events=[_recorded(kept.anomaly.event) for kept in incident.kept],
        omitted=incident.omitted,
        summary=summary_of(incident),
    )


def _explanation(score: EngineScore | None) -> Bilingual | None:
    return score.explanation if score and not score.abstained else None


def _techniques(incident: Incident) -> list[str]:
    of_all = (name for kept in incident.kept for name in kept.techniques)
    return list(dict.fromkeys([*severity.techniques(incident.best.engines), *of_all]))


def _recorded(event: Event) -> dict[str, Any]:
    record = as_record(event)
    argv = event.process.argv if event.process else None
    if argv and sum(map(len, argv)) > _LONG_ARGUMENTS:
        record["process"] |= {"argv": cut_list(argv, _LONG_ARGUMENTS), "truncated": True}
    return record


def _departure(kept: Kept) -> Departure:
    anomaly = kept.anomaly
    return Departure(
        anomaly_id=anomaly.id,
        event_id=anomaly.event.id,
        reason=anomaly.reason,
        path=anomaly.path,
        detail=anomaly.detail,
        usual=anomaly.usual,
        score=kept.score,
        deed=kept.deed,
    )

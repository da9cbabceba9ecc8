# SPDX-License-Identifier: Apache-2.0
"""From an incident to the alert that a person sees."""

from typing import Final

from habitus.alerts import Alert, Departure, Where, Who
from habitus.anomalies import Anomaly
from habitus.engines import EngineScore
from habitus.events import Event, as_record
from habitus.languages import Bilingual
from habitus_scorer import advice, severity
from habitus_scorer.incidents import Incident, Kept

_MODEL: Final = "llm"


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
    return Alert(
        id=incident.alert_id,
        incident=incident.id,
        revision=incident.revision + 1,
        severity=best.severity,
        title=Bilingual(en=f"{label.en}: {title.en}", zh=f"{label.zh}：{title.zh}"),
        advice=advice.advice_of(finding.advice if finding else None, event),
        explanation=_explanation(best.engines.get(_MODEL)),
        score=best.score,
        engines=dict(best.engines),
        techniques=_techniques(incident),
        where=_where(best.anomaly),
        who=_who(event),
        departures=[_departure(kept) for kept in incident.kept],
        action=advice.action_of(event),
        first_seen=incident.first_seen,
        raised=now,
        latency_ms=round((now - newest.event.ts) / 1e6, 3),
        events=[as_record(kept.anomaly.event) for kept in incident.kept],
        omitted=incident.omitted,
    )


def _explanation(score: EngineScore | None) -> Bilingual | None:
    return score.explanation if score and not score.abstained else None


def _techniques(incident: Incident) -> list[str]:
    of_all = (name for kept in incident.kept for name in kept.techniques)
    return list(dict.fromkeys([*severity.techniques(incident.best.engines), *of_all]))


def _where(anomaly: Anomaly) -> Where:
    event = anomaly.event
    container, pod = event.container, event.container.pod
    return Where(
        node=event.node,
        namespace=pod.namespace if pod else None,
        pod=pod.name if pod else None,
        pod_uid=pod.uid if pod else None,
        container=container.name,
        container_id=container.id,
        image=container.image or anomaly.image_key,
        image_digest=container.image_digest,
    )


def _who(event: Event) -> Who:
    process = event.process
    if process is None:
        return Who(name=event.process_name)
    ancestors = process.ancestors or ([process.parent] if process.parent else [])
    return Who(
        pid=process.pid,
        uid=process.uid,
        name=event.process_name,
        exe=process.exe,
        argv=process.argv or [],
        lineage=[*reversed(ancestors), event.process_name],
    )


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
    )

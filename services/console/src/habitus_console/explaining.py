# SPDX-License-Identifier: Apache-2.0
"""Retells a decision from its evidence in plain words: what happened, what is usual, who gave what."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from habitus.alerts import Alert, Severity
from habitus.anomalies import Anomaly
from habitus.engines import EngineScore
from habitus.evidence import Evidence
from habitus.languages import Language
from habitus_console.explaining_words import ENGINES, REASONS, SEVERITIES, W
from habitus_console.render import FIRST, took, when

_LINES: Final = 15


@dataclass(frozen=True)
class Part:
    """A heading and its lines. Lines hold observed text as it is: who shows them escapes it."""

    title: str
    lines: list[str]


def parts(evidence: Evidence, language: Language) -> list[Part]:
    """Return the whole story in one language."""
    first = evidence.anomalies[0].as_anomaly() if evidence.anomalies else None
    told = (
        ("happened", _happened(evidence.alert, language)),
        ("usual", _usual(evidence, first, language)),
        ("failed", _failed(evidence, first, language)),
        ("engines", _engines(evidence, language)),
        ("total", _total(evidence, language)),
        ("incident", _incident(evidence.alert, language)),
        ("do", _do(evidence.alert, language)),
    )
    return [Part(W[name].in_(language), list(lines)) for name, lines in told]


def _happened(alert: Alert, language: Language) -> Iterator[str]:
    where, who = alert.where, alert.who
    yield alert.title.in_(language)
    if where.pod:
        yield (
            W["in_pod"]
            .in_(language)
            .format(namespace=where.namespace, pod=where.pod, container=where.container, image=where.image)
        )
    else:
        container = where.container or (where.container_id or "?")[:12]
        yield W["in_container"].in_(language).format(container=container, image=where.image, node=where.node)
    if who.lineage:
        yield W["lineage"].in_(language).format(lineage=" → ".join(who.lineage), pid=who.pid, uid=who.uid)
    if who.argv or who.exe:
        yield W["ran"].in_(language).format(command=" ".join(who.argv) or who.exe, exe=who.exe)
    yield (
        W["at"]
        .in_(language)
        .format(first=when(alert.first_seen), raised=when(alert.raised), latency=took(alert.latency_ms))
    )


def _usual(evidence: Evidence, first: Anomaly | None, language: Language) -> Iterator[str]:
    usual = first.usual if first else next(
        (one.usual for one in evidence.alert.departures if one.anomaly_id == evidence.decisive), []
    )  # fmt: skip
    if not usual:
        yield W["nothing_usual"].in_(language)
    for text in usual[:_LINES]:
        yield f"· {text or FIRST.in_(language)}"


def _failed(evidence: Evidence, first: Anomaly | None, language: Language) -> Iterator[str]:
    departure = next((one for one in evidence.alert.departures if one.anomaly_id == evidence.decisive), None)
    reason = first.reason if first else departure.reason if departure else None
    if reason is None:
        return
    path = first.path if first else departure.path if departure else []
    yield REASONS[reason].in_(language)
    yield W["looked"].in_(language).format(path=" → ".join(path))
    detail = first.detail if first else departure.detail if departure else ""
    if detail:
        yield W["detail"].in_(language).format(detail=detail)
    if first is None:
        return
    if first.threshold:
        yield W["threshold"].in_(language).format(threshold=first.threshold, model=first.model or "?")
    for near in first.nearest:
        yield W["near"].in_(language).format(cosine=near.cosine, text=near.text)
    yield (
        W["profile"]
        .in_(language)
        .format(key=first.image_key, revision=first.revision, confidence=first.confidence)
    )


def _engines(evidence: Evidence, language: Language) -> Iterator[str]:
    for name, score in evidence.alert.engines.items():
        yield _engine(name, score, language)
        for finding in score.findings:
            techniques = f" [{', '.join(finding.techniques)}]" if finding.techniques else ""
            title = finding.title.in_(language)
            yield f"  · {title} ({finding.id}, {finding.level}){techniques}"
            if finding.detail:
                yield f"    {finding.detail}"
        if score.explanation and not score.abstained:
            yield f"  “{score.explanation.in_(language)}”"
        yield from (f"  {line}" for line in _record(evidence.records.get(name, {}), language))


def _engine(name: str, score: EngineScore, language: Language) -> str:
    known = f"{ENGINES[name].in_(language)} ({name})" if name in ENGINES else name
    if score.abstained:
        return W["abstained"].in_(language).format(engine=known, note=score.note or "?")
    note = f": {score.note}" if score.note else ""
    return W["gave"].in_(language).format(engine=known, points=score.points, most=score.max_points, note=note)


def _record(record: dict[str, Any], language: Language) -> Iterator[str]:
    versions = record.get("rules")
    if isinstance(versions, dict) and versions:
        listed = ", ".join(f"{name}@{version}" for name, version in versions.items())
        yield W["versions"].in_(language).format(versions=listed)
    reply = record.get("reply")
    if isinstance(reply, dict) and reply.get("provider"):  # none: nobody was asked
        yield (
            W["model"]
            .in_(language)
            .format(
                provider=reply.get("provider"),
                model=reply.get("model"),
                verdict=reply.get("verdict"),
                confidence=reply.get("confidence"),
                prompt=reply.get("prompt_version"),
            )
        )
        if reply.get("answer"):
            yield W["answer"].in_(language).format(answer=reply["answer"])
        if reply.get("prompt"):
            yield W["question"].in_(language).format(characters=len(str(reply["prompt"])))


def _total(evidence: Evidence, language: Language) -> Iterator[str]:
    alert = evidence.alert
    voted = {name: score for name, score in alert.engines.items() if not score.abstained}
    yield (
        W["sum"]
        .in_(language)
        .format(
            terms=" + ".join(f"{score.points:g} ({name})" for name, score in voted.items()) or "0",
            possible=f"{sum(score.max_points for score in voted.values()):g}",
            score=alert.score,
        )
    )
    if evidence.alert_at:
        yield W["alert_at"].in_(language).format(alert_at=evidence.alert_at)
    yield SEVERITIES.in_(language).format(severity=alert.severity.label.in_(language))
    levels = {finding.level for score in voted.values() for finding in score.findings}
    if alert.severity is Severity.HIGH and alert.score >= 90 and "critical" not in levels:  # noqa: PLR2004
        yield W["not_critical"].in_(language)


def _incident(alert: Alert, language: Language) -> Iterator[str]:
    summary = alert.summary
    yield (
        W["counts"]
        .in_(language)
        .format(
            departures=len(alert.departures) + alert.omitted,
            deeds=summary.deeds,
            containers=summary.container_count,
            revision=alert.revision,
        )
    )
    for moment in summary.timeline[:_LINES]:
        place = f" {moment.container or '?'}" if summary.container_count > 1 else ""
        process = moment.process if moment.pid is None else f"{moment.process}[{moment.pid}]"
        yield f"{when(moment.ts)}{place} {process} {moment.op} {moment.what}"
    if len(summary.timeline) > _LINES:
        yield W["more"].in_(language).format(more=len(summary.timeline) - _LINES)
    pods = [where.pod or where.container or (where.container_id or "?")[:12] for where in summary.containers]
    lists = (
        ("containers", pods if len(pods) > 1 else []),
        ("files", summary.files),
        ("peers", summary.peers),
    )
    for name, texts in lists:
        if texts:
            more = f" … (+{len(texts) - _LINES})" if len(texts) > _LINES else ""
            yield f"{W[name].in_(language)}: {', '.join(texts[:_LINES])}{more}"


def _do(alert: Alert, language: Language) -> Iterator[str]:
    yield alert.advice.in_(language)
    action = alert.action
    if action is None:
        return
    yield action.title.in_(language)
    if action.objects:
        yield W["apply"].in_(language).format(id=alert.id)
    for entry in action.entries:
        whom = entry.scope.container_id or ""
        scope = whom[:12] or entry.scope.image
        yield (
            W["entry"]
            .in_(language)
            .format(
                operation=entry.operation,
                target=entry.target,
                scope=scope,
                until=when(entry.expires),
                id=entry.id,
            )
        )
        if entry.caution:
            yield f"  {entry.caution.in_(language)}"

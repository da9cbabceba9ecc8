# SPDX-License-Identifier: Apache-2.0
"""An incident at a glance: its timeline, processes, files, peers and containers, each list bounded."""

from collections.abc import Iterable
from typing import Final

from habitus.alerts import Moment, Summary, Where, Who
from habitus.anomalies import Anomaly
from habitus.events import Container, Event
from habitus_scorer.deeds import peer_of
from habitus_scorer.incident import Incident, Kept

_PROCESSES: Final = 20
_LISTED: Final = 50
_LONGEST: Final = 200


def summary_of(incident: Incident) -> Summary:
    """Return what a person sees of all that an incident keeps, oldest first."""
    kept = sorted(incident.kept, key=lambda one: (one.anomaly.event.ts, one.anomaly.id))
    events = [one.anomaly.event for one in kept]
    containers = list(incident.containers.values())[:_LISTED]
    image = incident.best.anomaly.image_key
    return Summary(
        timeline=[_moment(one) for one in kept],
        processes=_processes(events),
        files=_distinct(event.file.path for event in events if event.file),
        peers=_distinct(peer_of(event.network) for event in events if event.network),
        containers=[place_of(one.container, one.node, image) for one in containers],
        container_count=len(incident.containers),
        deeds=len(incident.deeds),
        grave=len(incident.grave),
        last_seen=incident.last_seen,
    )


def where_of(anomaly: Anomaly) -> Where:
    """Return the container in which an anomaly happened."""
    return place_of(anomaly.event.container, anomaly.event.node, anomaly.image_key)


def place_of(container: Container, node: str | None, image: str) -> Where:
    """Return a container by every name that helps to find it."""
    pod = container.pod
    return Where(
        node=node,
        namespace=pod.namespace if pod else None,
        pod=pod.name if pod else None,
        pod_uid=pod.uid if pod else None,
        container=container.name,
        container_id=container.id,
        image=container.image or image,
        image_digest=container.image_digest,
    )


def who_of(event: Event, longest: int | None = None) -> Who:
    """Return the process that acted; with `longest` its arguments are cut to so many characters in all."""
    process = event.process
    if process is None:
        return Who(name=event.process_name)
    ancestors = process.ancestors or ([process.parent] if process.parent else [])
    return Who(
        pid=process.pid,
        uid=process.uid,
        name=event.process_name,
        exe=process.exe,
        argv=cut_list(process.argv or [], longest) if longest else process.argv or [],
        lineage=[*reversed(ancestors), event.process_name],
    )


def cut_list(texts: list[str], longest: int) -> list[str]:
    """Return the texts up to so many characters in all; `…` stands where something is cut."""
    kept: list[str] = []
    for text in texts:
        if len(text) > longest:
            return [*kept, text[:longest] + "…"]
        kept.append(text)
        longest -= len(text)
    return kept


def deed_text(event: Event) -> str:
    """Return what an event is about: the peer, the path, or the command line; as observed, cut."""
    process = event.process
    if event.network:
        text = peer_of(event.network)
    elif event.file and event.file.path:
        text = event.file.path
    else:
        text = " ".join((process.argv or [process.exe or ""]) if process else ())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _moment(kept: Kept) -> Moment:
    event = kept.anomaly.event
    container, pod = event.container, event.container.pod
    return Moment(
        ts=event.ts,
        container=(pod.name if pod else None) or container.name or (container.id or "")[:12] or None,
        pid=event.process.pid if event.process else None,
        process=event.process_name,
        op=event.op,
        what=deed_text(event),
        reason=kept.anomaly.reason,
        score=kept.score,
        anomaly_id=kept.anomaly.id,
    )


def _processes(events: list[Event]) -> list[Who]:
    found: dict[tuple[str | None, int | None, str], Event] = {}
    for event in events:
        if event.process:
            # A process by its last name: what it executed says more than what it was before.
            found[event.container.id, event.process.pid, event.process_name] = event
    return [who_of(event, _LONGEST) for event in list(found.values())[:_PROCESSES]]


def _distinct(texts: Iterable[str | None]) -> list[str]:
    found = dict.fromkeys(text[:_LONGEST] for text in texts if text)
    return list(found)[:_LISTED]

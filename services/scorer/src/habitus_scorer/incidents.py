# SPDX-License-Identifier: Apache-2.0
"""Folds anomalies into incidents: one attack, one incident, in however many containers of an image.

Pure and without clock: the same anomalies in the same order give the same incidents and ids.
What belongs together is in docs/decisions/0019-one-attack-in-many-containers.md, 0028 and 0035.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from habitus.alerts import Alert
from habitus.anomalies import Anomaly
from habitus_scorer.deeds import container_of, digest
from habitus_scorer.incident import Incident, Judged
from habitus_scorer.links import Links
from habitus_scorer.runs import RUN_S, Runs

LINEAGE_S: Final = 3600.0
"""A process of an incident draws its children in for so long after the last departure."""

_INCIDENTS: Final = 4096
_KEPT_IN_ALL: Final = 10_000
_LINKS_OF_ONE: Final = 4096
_LINKS_IN_ALL: Final = 200_000
_RAISED_DEEDS: Final = 20_000


@dataclass(frozen=True)
class _Raised:
    """An alert of a former scorer, until an anomaly of it comes."""

    alert: Alert
    containers: frozenset[str]


class IncidentBook:
    """The open incidents, by process, lineage, run, pattern and deed; the least recently touched leave first.

    Args:
        cooldown_s: what repeats within it folds.
        across: fold the same deed in other containers of the image too.
    """

    def __init__(self, cooldown_s: float, *, across: bool = True) -> None:
        self._cooldown_s = cooldown_s
        self._across = across
        self._incidents: OrderedDict[str, Incident] = OrderedDict()
        # Of a process whether it is a culprit: its departure accuses it, or its parent is one.
        self._by_pid: Links[tuple[str, int], bool] = Links(_LINKS_OF_ONE)
        self._by_chain: Links[tuple[str, ...], None] = Links(_LINKS_OF_ONE)
        # Of a process when it last started what is accused.
        self._by_start: Links[tuple[str, int], int] = Links(_LINKS_OF_ONE)
        self._by_run = Runs(_LINKS_OF_ONE)
        self._by_pattern: Links[tuple[str, str], None] = Links(_LINKS_OF_ONE)
        self._by_deed: Links[str, None] = Links(_LINKS_OF_ONE)
        self._links: tuple[Links[Any, Any], ...] = (
            self._by_pid,
            self._by_chain,
            self._by_run,
            self._by_start,
            self._by_pattern,
            self._by_deed,
        )
        self._raised: dict[str, _Raised] = {}
        self._raised_by_deed: dict[str, str] = {}
        self._kept = 0
        self._reached = 0

    def __len__(self) -> int:
        return len(self._incidents)

    def __iter__(self) -> Iterator[Incident]:
        return iter(list(self._incidents.values()))

    def fold(self, judged: Judged) -> Incident:
        """Add one anomaly to the incident that it belongs to, or open one for it."""
        container = container_of(judged.anomaly)
        # Its own incident may stand already: others of it were scored before a restart, it was not.
        own = f"i-{digest(container, judged.anomaly.id)}"
        incident = self._found(container, judged) or self._incidents.get(own)
        if incident is None:
            incident = self._opened(self._told_of(container, judged) or own, judged)
        return self._add(incident, judged)

    def amend(self, incident: Incident, judged: Judged) -> tuple[Incident, bool]:
        """Put the later judgement of an anomaly in place.

        Returns: the incident that the anomaly is in now, and whether it speaks for it. A step that only a
        language model calls grave, and that nobody was told of, belongs to what its process started.
        """
        beside = self._beside(judged) if incident.raised is None else None
        if beside is not None and beside is not incident:
            self._add(beside, judged)
            return beside, beside.best is judged
        return incident, incident.amend(judged)

    def restore(self, judged: Judged, incident_id: str) -> None:
        """Put one anomaly back into the incident that it was folded into before a restart."""
        incident = self._incidents.get(incident_id) or self._opened(incident_id, judged)
        self._add(incident, judged)

    def restore_alert(self, alert: Alert) -> None:
        """Remember, before any anomaly is restored or folded, that `alert` was raised."""
        names = {where.container_id or "" for where in (alert.where, *alert.summary.containers)}
        self._raised[alert.incident] = _Raised(alert.model_copy(update={"events": []}), frozenset(names))
        for deed in {departure.deed for departure in alert.departures if departure.deed}:
            self._raised_by_deed[deed] = alert.incident
        while len(self._raised_by_deed) > _RAISED_DEEDS:
            del self._raised_by_deed[next(iter(self._raised_by_deed))]

    def _opened(self, incident_id: str, judged: Judged) -> Incident:
        incident = Incident(id=incident_id, best=judged)
        raised = self._raised.pop(incident_id, None)
        if raised is not None:
            incident.tell(raised.alert)
            incident.told_before = frozenset(one.anomaly_id for one in raised.alert.departures)
        return incident

    def _told_of(self, container: str, judged: Judged) -> str | None:
        """Return the incident of an alert that was raised before a restart and has this deed."""
        incident_id = self._raised_by_deed.get(judged.deed, "")
        raised = self._raised.get(incident_id)
        if raised is None or not (self._across or container in raised.containers):
            return None
        last = raised.alert.summary.last_seen or raised.alert.first_seen
        return incident_id if _within(last, judged.anomaly.event.ts, self._cooldown_s) else None

    def _found(self, container: str, judged: Judged) -> Incident | None:
        related = self._related(container, judged)
        if related is not None and (related.weighs or not judged.weighs):
            return related
        if self._told_of(container, judged):
            return None  # it was told before a restart, ahead of its turn: that alert's incident opens again
        # A process of a faint incident does what an attack elsewhere did: it is that attack.
        return (
            self._elsewhere(judged)
            or self._of_run(container, judged)
            or self._beside(judged)
            or related
            or self._lasting(self._by_pattern.of((container, judged.pattern)), judged)
            or self._led_in(container, judged)
        )

    def _elsewhere(self, judged: Judged) -> Incident | None:
        """Return the incident that did this deed, in whichever container."""
        incident = self._lasting(self._by_deed.of(judged.deed), judged) if self._across else None
        # What is faint accuses no other container: it joins an attack by lineage only.
        return incident if incident and (judged.weighs or not incident.weighs) else None

    def _lasting(self, incident_id: str, judged: Judged) -> Incident | None:
        incident = self._incidents.get(incident_id)
        lasts = incident and _within(incident.last_seen, judged.anomaly.event.ts, self._cooldown_s)
        return incident if lasts else None

    def _of_run(self, container: str, judged: Judged) -> Incident | None:
        """Return the incident that another step of the same run is in."""
        return self._incidents.get(self._by_run.led_to(container, judged.anomaly))

    def _led_in(self, container: str, judged: Judged) -> Incident | None:
        """Return the incident of a step of the parent that the model alone gave weight, while fresh.

        It led to the first accused child; what the parent starts after that is a story of its own.
        """
        process = judged.anomaly.event.process
        if process is None or not judged.accuses or judged.anomaly.event.op != "exec":
            return None
        incident = self._incidents.get(self._by_pid.of((container, process.ppid or 0)))
        if incident is None or not incident.weighs or incident.accused or len(incident.containers) > 1:
            return None
        return incident if _within(incident.last_seen, judged.anomaly.event.ts, RUN_S) else None

    def _beside(self, judged: Judged) -> Incident | None:
        """Return the incident of what the process started about when it did what only a model calls grave.

        A script that is run is read to its end, and told of, after what it started.
        """
        process = judged.anomaly.event.process
        if process is None or not judged.weighs or judged.accuses:
            return None
        key = (container_of(judged.anomaly), process.pid or 0)
        started = self._by_start.note(key)
        if started is None or abs(started - judged.anomaly.event.ts) > RUN_S * 1e9:
            return None
        return self._incidents.get(self._by_start.of(key))

    def _related(self, container: str, judged: Judged) -> Incident | None:
        """Return the incident that the process has a part in, or a culprit among its ancestors."""
        process = judged.anomaly.event.process
        if process is None:
            return None
        links = ((container, process.pid or 0), (container, process.ppid or 0))
        for link, is_own in zip(links, (True, False), strict=True):
            incident = self._incidents.get(self._by_pid.of(link))
            if incident is None or not _within(incident.last_seen, judged.anomaly.event.ts, LINEAGE_S):
                continue
            if self._by_pid.note(link) or (is_own and self._may_go_on(incident, judged)):
                return incident
        return self._descended(container, judged.anomaly)

    @staticmethod
    def _may_go_on(incident: Incident, judged: Judged) -> bool:
        # A server that once read a strange file is no culprit: what its children do is not all of one
        # attack. Nor is what it does itself, where other containers only read the same file.
        return not judged.weighs or len(incident.containers) == 1

    def _descended(self, container: str, anomaly: Anomaly) -> Incident | None:
        """Return the incident of a program among the ancestors that this image was never seen to start there.

        Events tell ancestors by name alone. A chain of names that the profile does not know has one
        source: who descends from it descends from the departure.
        """
        if not self._by_chain:
            return None
        process = anomaly.event.process
        ancestors = (process.ancestors if process else None) or []
        for at in range(len(ancestors)):
            incident = self._incidents.get(self._by_chain.of((container, *ancestors[at:])))
            if incident is not None and _within(incident.last_seen, anomaly.event.ts, LINEAGE_S):
                return incident
        return None

    def _draws_in(self, incident: Incident, judged: Judged) -> bool:
        # A faint departure that only repeats a pattern must not pull what its process does next into
        # an old incident: another attack often begins with the same small step.
        if not incident.count or judged.severity.rank >= incident.best.severity.rank:
            return True
        if judged.weighs and judged.deed in incident.deeds:
            return True
        container = container_of(judged.anomaly)
        return incident in (self._related(container, judged), self._of_run(container, judged))

    def _add(self, incident: Incident, judged: Judged) -> Incident:
        kept, reached = len(incident.kept), len(incident.containers)
        draws_in = self._draws_in(incident, judged)
        incident.add(judged)
        self._kept += len(incident.kept) - kept
        self._reached += len(incident.containers) - reached
        self._incidents[incident.id] = incident
        self._incidents.move_to_end(incident.id)
        self._link(incident, judged, with_process=draws_in)
        while len(self._incidents) > 1 and self._is_full:
            self._forget(self._incidents.popitem(last=False)[1])
        return incident

    @property
    def _is_full(self) -> bool:
        return (
            len(self._incidents) > _INCIDENTS
            or self._kept > _KEPT_IN_ALL
            or sum(map(len, self._links)) + self._reached > _LINKS_IN_ALL
        )

    def _link(self, incident: Incident, judged: Judged, *, with_process: bool) -> None:
        anomaly = judged.anomaly
        container = container_of(anomaly)
        # In an image that was never learned all faint work is one pattern: an attack is not to draw it in.
        if judged.weighs or not incident.weighs or len(anomaly.path) > 1:
            self._by_pattern.link((container, judged.pattern), incident.id, None)
        if judged.weighs:
            self._by_run.begin(container, anomaly, incident.id)
        if judged.weighs or not incident.weighs:
            self._by_deed.link(judged.deed, incident.id, None)
        process = anomaly.event.process
        if judged.accuses and process and process.ppid and anomaly.event.op == "exec":
            self._by_start.link((container, process.ppid), incident.id, anomaly.event.ts)
        if process and process.pid and with_process:
            link, parent = (container, process.pid), (container, process.ppid or 0)
            inherited = any(
                self._by_pid.of(one) == incident.id and self._by_pid.note(one) for one in (link, parent)
            )
            self._by_pid.link(link, incident.id, judged.accuses or inherited)
            if judged.weighs and anomaly.event.class_ == "process" and anomaly.reason == "unknown-path":
                chain = (container, anomaly.event.process_name, *(process.ancestors or ()))
                self._by_chain.link(chain, incident.id, None)

    def _forget(self, incident: Incident) -> None:
        self._kept -= len(incident.kept)
        self._reached -= len(incident.containers)
        for links in self._links:
            links.forget(incident.id)


def _within(last_seen: int, moment: int, seconds: float) -> bool:
    return moment - last_seen <= seconds * 1e9

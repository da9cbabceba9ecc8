# SPDX-License-Identifier: Apache-2.0
"""One attack is one incident, whichever way its anomalies come."""

import pytest
from scorer_making import TS, anomaly, judged

from habitus.alerts import Severity
from habitus.engines import EngineScore
from habitus_scorer.alerting import alert_of
from habitus_scorer.incident import DEEDS, KEPT, Incident, Judged
from habitus_scorer.incidents import IncidentBook


@pytest.fixture
def book() -> IncidentBook:
    return IncidentBook(cooldown_s=3600)


def test_siblings_under_a_known_shell_are_two_incidents(book: IncidentBook):
    """bash → ./xmrig and bash → ./java: the shell is no part of either."""
    first = book.fold(judged(anomaly(["./xmrig"], pid=41, ppid=7)))
    second = book.fold(judged(anomaly(["./java"], pid=42, ppid=7)))
    assert first.id != second.id


def test_restarted_program_is_the_same_incident(book: IncidentBook):
    """xmrig again, by another pid: the same pattern in the same container."""
    first = book.fold(judged(anomaly(["./xmrig"], pid=41)))
    again = book.fold(judged(anomaly(["./xmrig"], pid=90, seconds=60)))
    assert again is first
    assert again.count == 2


def test_a_faint_repetition_does_not_pull_the_next_attack_into_an_old_incident(book: IncidentBook):
    """Both attacks begin with the same upload: it folds, and what its shell starts then is news."""
    upload = {"class_": "file", "op": "open", "file": {"path": "/tmp/app"}, "path": ["webapp:v1", "f"]}
    first = book.fold(judged(anomaly(["./xmrig"], pid=41, ppid=7)))
    book.fold(judged(anomaly(pid=41, **upload), points=0))
    repeated = book.fold(judged(anomaly(pid=80, id="e5", **upload), points=0))
    second = book.fold(judged(anomaly(["./java"], pid=81, ppid=80)))
    again = book.fold(judged(anomaly(["./xmrig"], pid=90, seconds=60)))
    child = book.fold(judged(anomaly(["sh", "-c", "id"], pid=91, ppid=90)))
    assert repeated is first
    assert second is not first
    assert (again, child) == (first, first)


def test_a_server_with_a_faint_departure_does_not_join_what_it_starts(book: IncidentBook):
    """The server reads the upload, whichever is seen first, and runs one miner after the other."""
    upload = {"class_": "file", "op": "open", "file": {"path": "/tmp/app"}, "path": ["webapp:v1", "f"]}
    read = book.fold(judged(anomaly(pid=7, **upload), points=0))
    first = book.fold(judged(anomaly(["./xmrig"], pid=41, ppid=7)))
    again = book.fold(judged(anomaly(pid=7, id="e5", **upload), points=0))
    second = book.fold(judged(anomaly(["./java"], pid=81, ppid=7)))
    assert again is read
    assert len({read.id, first.id, second.id}) == 3


def test_children_and_their_deeds_belong_to_their_parent(book: IncidentBook):
    """What a process of the incident starts, opens or connects to joins it, down the tree."""
    root = book.fold(judged(anomaly(["./xmrig"], pid=41)))
    child = book.fold(judged(anomaly(["sh", "-c", "id"], pid=42, ppid=41)))
    grandchild = book.fold(judged(anomaly(["id"], pid=43, ppid=42)))
    opened = book.fold(
        judged(anomaly(pid=41, class_="file", op="open", file={"path": "/x"}, path=["webapp:v1", "f"]))
    )
    network = {"remote_ip": "203.0.113.7"}
    called = book.fold(
        judged(anomaly(pid=43, class_="network", op="connect", network=network, path=["webapp:v1", "n"]))
    )
    assert {incident.id for incident in (child, grandchild, opened, called)} == {root.id}


def test_the_same_pid_in_another_container_is_no_relation(book: IncidentBook):
    """Process ids belong to their container: another deed there is another incident."""
    first = book.fold(judged(anomaly(pid=41)))
    second = book.fold(judged(anomaly(["./java"], pid=41, id="e2", container={"id": "d" * 64})))
    assert first.id != second.id


def test_pattern_folds_only_within_the_cooldown():
    """After the cooldown the same pattern is a new incident; its children still find their parent."""
    book = IncidentBook(cooldown_s=10)
    first = book.fold(judged(anomaly(pid=41)))
    assert book.fold(judged(anomaly(pid=50, seconds=9))).id == first.id
    later = book.fold(judged(anomaly(pid=51, seconds=30)))
    assert later.id != first.id
    assert book.fold(judged(anomaly(["sh"], pid=60, ppid=51, seconds=200))).id == later.id


def test_events_without_pid_or_container_fold_by_pattern_and_image(book: IncidentBook):
    """Thin events work too."""

    def bare(argv, number):
        one = anomaly(argv, id=f"b{number}", container={"id": None, "pod": None})
        one.event.process.pid = one.event.process.ppid = None
        return judged(one)

    first = book.fold(bare(["./xmrig"], 1))
    assert book.fold(bare(["./xmrig"], 2)).id == first.id
    assert book.fold(bare(["./java"], 3)).id != first.id


def test_network_event_without_process_folds(book: IncidentBook):
    """An event may know nothing of its process."""
    one = anomaly(
        class_="network", op="connect", network={"remote_ip": "203.0.113.7"}, path=["webapp:v1", "n"]
    )
    one.event.process = None
    assert book.fold(judged(one)).count == 1


def test_ids_are_the_same_in_every_run():
    """The same anomalies in the same order give the same ids; another first anomaly gives another."""

    def ids() -> list[str]:
        book = IncidentBook(cooldown_s=3600)
        return [
            book.fold(judged(anomaly([name], pid=pid))).id for name, pid in (("a", 1), ("b", 2), ("a", 3))
        ]

    assert ids() == ids()
    assert len(set(ids())) == 2


def told(incident: Incident) -> bool:
    due = incident.due(alert_at=40) or incident.grown
    if due:
        incident.tell(alert_of(incident, incident.best.anomaly, now=TS))
    return due


def test_person_is_told_once_then_on_a_higher_severity(book: IncidentBook):
    """Below the threshold nobody is told; a repeat is silent; a rise is told."""
    incident = book.fold(judged(anomaly(pid=41, id="1"), points=8, level="low"))
    assert not told(incident)
    assert not told(book.fold(judged(anomaly(pid=41, id="2"), points=8)))
    assert told(book.fold(judged(anomaly(pid=41, id="3"), points=20)))
    assert incident.raised is Severity.MEDIUM
    assert not told(book.fold(judged(anomaly(pid=41, id="4"), points=20)))
    assert told(book.fold(judged(anomaly(pid=41, id="5"), points=30)))
    assert (incident.raised, incident.revision) == (Severity.HIGH, 2)
    assert not told(book.fold(judged(anomaly(pid=41, id="6"), points=0)))
    assert incident.best.severity is Severity.HIGH


def test_flood_is_few_revisions_and_bounded(book: IncidentBook):
    """10 000 repeats: one incident, a revision for each doubling, 50 kept and the rest counted."""
    revisions = sum(told(book.fold(judged(anomaly(pid=41, id=str(n))))) for n in range(10_000))
    [incident] = book._incidents.values()
    assert revisions <= 13
    assert len(incident.kept) == KEPT
    assert incident.omitted == 10_000 - KEPT


def test_weightiest_anomaly_is_kept_though_it_came_late(book: IncidentBook):
    """The 61st anomaly speaks for the incident if it weighs most."""
    for number in range(60):
        book.fold(judged(anomaly(pid=41, id=str(number)), points=20))
    incident = book.fold(judged(anomaly(["./late"], pid=42, ppid=41, id="late"), points=40, level="critical"))
    assert incident.best.anomaly.event.process_name == "late"
    assert incident.kept[-1].anomaly is incident.best.anomaly
    assert incident.count == 61


def test_a_grave_deed_in_a_large_incident_is_kept_and_told_at_once(book: IncidentBook):
    """A release of sixty deeds fills what is kept and was told as high: an attack in it must not drown."""
    book.fold(judged(anomaly(["./release"], pid=41, id="first")))
    for number in range(60):
        word = "".join(chr(ord("a") + int(digit)) for digit in f"{number:02}")
        incident = book.fold(judged(anomaly([f"./{word}"], pid=41, id=word), points=20))
    tell(incident)
    assert (incident.raised, incident.due(40)) == (Severity.HIGH, False)
    assert book.fold(judged(anomaly(["./attack"], pid=42, ppid=41, id="attack"))) is incident
    assert incident.due(40)
    assert "attack" in {kept.anomaly.event.id for kept in incident.kept}
    tell(incident)
    assert not incident.due(40)


def test_many_grave_deeds_are_told_as_growth(book: IncidentBook):
    """An attacker who does something else each time wakes nobody a hundred times."""
    at_once = 0
    for number in range(100):
        word = "".join(chr(ord("a") + int(digit)) for digit in f"{number:02}")
        incident = book.fold(judged(anomaly([f"./{word}"], pid=41, id=word)))
        if incident.due(40):
            at_once += 1
            tell(incident)
    assert at_once == 8
    assert incident.grown


def tell(incident: Incident) -> None:
    incident.tell(alert_of(incident, incident.best.anomaly, 1))


def test_memory_is_bounded_in_incidents(book: IncidentBook):
    """Incidents that nothing touches leave, with their processes and patterns."""
    for number in range(6_000):
        book.fold(judged(anomaly([f"./p{number}"], pid=number + 10, ppid=1, id=str(number))))
    assert len(book) == 4096
    assert len(book._by_pid) == len(book._by_pattern) == len(book._by_deed) == 4096
    assert book._kept == book._reached == 4096


def test_long_incident_is_bounded_in_processes_and_patterns(book: IncidentBook):
    """A fork bomb of ever new names is one incident of bounded size."""
    book.fold(judged(anomaly(["./bomb"], pid=10)))
    for number in range(6_000):
        book.fold(judged(anomaly([f"./p{number}"], pid=number + 11, ppid=number + 10, id=str(number))))
    [incident] = book._incidents.values()
    assert len(book._by_pid) == len(book._by_pattern) == len(book._by_deed) == 4096
    assert (len(incident.deeds), len(incident.kept)) == (DEEDS, KEPT)


def test_critical_needs_a_finding_of_that_level():
    """A total of 100 by few voices is high; with a critical finding it is critical."""
    assert judged(anomaly(), points=40, level="high").severity is Severity.HIGH
    assert judged(anomaly(), points=40, level="critical").severity is Severity.CRITICAL
    silent = {"profile": EngineScore(points=5, max_points=5)}
    assert Judged.of(anomaly(), silent).severity is Severity.HIGH

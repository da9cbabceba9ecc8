# SPDX-License-Identifier: Apache-2.0
"""An image that was never learned: all in it departs, and an attack in it is still an alert of its own."""

import pytest
from scorer_making import anomaly, judged

from habitus_scorer.incident import Judged
from habitus_scorer.incidents import IncidentBook


@pytest.fixture
def book() -> IncidentBook:
    return IncidentBook(cooldown_s=3600)


def unlearned(argv: list[str] | None = None, *, points: float = 0, replica: int = 1, **parts) -> Judged:
    """A departure whose path says no more than the image; without points as faint as ordinary work is."""
    container = {"id": f"{replica:064x}"}
    return judged(anomaly(argv, path=["webapp:v1"], container=container, **parts), points=points)


def opened(path: str, pid: int = 7, **parts) -> Judged:
    return unlearned(pid=pid, class_="file", op="open", file={"path": path}, id=f"{path} {parts}", **parts)


def test_two_attacks_in_it_are_two_incidents_beside_its_ordinary_work(book: IncidentBook):
    """All of them have the same trie path: what was done tells them apart."""
    work = {book.fold(opened(f"/app/module_{name}.py")).id for name in "abcdef"}
    first = book.fold(unlearned(["bash", "-i"], pid=41, points=30))
    second = book.fold(unlearned(["./loader"], pid=60, points=30))
    assert len(work) == 1
    assert len({*work, first.id, second.id}) == 3


def test_ordinary_work_after_an_attack_does_not_join_it(book: IncidentBook):
    """A faint step of the attack does not draw in what else the container does."""
    attack = book.fold(unlearned(["bash", "-i"], pid=41, points=30))
    assert book.fold(opened("/etc/hostname", pid=41)) is attack
    assert book.fold(opened("/app/other.py")) is not attack
    assert attack.count == 2


def test_the_same_attack_again_and_in_other_replicas_is_one_incident(book: IncidentBook):
    """By another pid, on another temporary name, in another container."""
    shadow = {"class_": "file", "op": "open", "points": 30}
    first = book.fold(unlearned(pid=41, file={"path": "/tmp/x-4711/shadow"}, **shadow))
    again = book.fold(unlearned(pid=50, file={"path": "/tmp/x-4712/shadow"}, id="again", **shadow))
    other = book.fold(unlearned(pid=60, file={"path": "/tmp/x-1/shadow"}, replica=2, id="other", **shadow))
    assert (again, other) == (first, first)
    assert book.fold(unlearned(pid=61, file={"path": "/root/key"}, replica=2, **shadow)) is not first


def test_other_peers_are_other_deeds(book: IncidentBook):
    """A connect to another public address is another deed; to another private one it is the same."""
    peers = ("203.0.113.7", "198.51.100.2", "10.0.0.1", "10.0.0.2")
    found = [
        book.fold(
            unlearned(
                class_="network", op="connect", points=30, pid=41 + number, id=peer,
                network={"direction": "egress", "remote_ip": peer, "remote_port": 443},
            )
        ).id
        for number, peer in enumerate(peers)
    ]  # fmt: skip
    assert len(set(found)) == 3
    assert found[2] == found[3]

# SPDX-License-Identifier: Apache-2.0
"""What a process that began a moment ago does and starts is one story; a server's children are not."""

import pytest
from scorer_making import anomaly, judged

from habitus_scorer.incidents import IncidentBook

TOKEN = {
    "class_": "file",
    "op": "open",
    "file": {"path": "/run/secrets/token"},
    "path": ["webapp:v1", "token"],
}


@pytest.fixture
def book() -> IncidentBook:
    return IncidentBook(cooldown_s=3600)


def step(name: str, pid: int, **parts):
    """What a job's shell, pid 7, starts; it began a second before the first step."""
    job = {"parent_age": 1 + parts.get("seconds", 0), "ancestors": ["sh", "cron", "tini"]}
    return anomaly([f"./{name}"], pid=pid, ppid=7, **job | parts)


def test_the_steps_of_one_run_of_a_job_are_one_incident(book: IncidentBook):
    """The shell itself did nothing unusual: its arguments are a job's, and so are its names."""
    first = book.fold(judged(step("steal", 41)))
    second = book.fold(judged(step("send", 42, seconds=8)))
    assert second is first


def test_what_the_run_itself_does_joins_its_children(book: IncidentBook):
    """A redirection is the shell's own deed; from then on it is a culprit like any other."""
    first = book.fold(judged(step("steal", 41)))
    assert book.fold(judged(anomaly(pid=7, ppid=1, seconds=5, **TOKEN))) is first
    assert book.fold(judged(step("late", 43, seconds=500))) is first


def test_a_deed_of_a_weight_less_than_its_own_incident_draws_its_children_in(book: IncidentBook):
    """The second step is fainter than the first, and what it starts is of the same story."""
    first = book.fold(judged(step("steal", 41), points=40))
    book.fold(judged(step("send", 42), points=20))
    assert book.fold(judged(anomaly(["./part"], pid=50, ppid=42))) is first


def test_a_run_s_faint_beginning_of_its_own_does_not_split_it(book: IncidentBook):
    """The shell's strange argument is told by nobody; its weighty deed belongs to what it started."""
    faint = book.fold(judged(anomaly(["sh"], pid=7, ppid=1), points=0))
    first = book.fold(judged(step("steal", 41)))
    assert book.fold(judged(anomaly(pid=7, ppid=1, **TOKEN))) is first
    assert faint is not first


@pytest.mark.parametrize(
    ("age", "ancestors"),
    [
        (61, ["sh", "cron", "tini"]),  # it has been there for long: a server, a shell that waits
        (5, ["bash"]),  # a container's first process is its service
        (5, ["bash", "tini"]),
        (5, ["bash", "s6-supervise", "s6-svscan"]),
    ],
)
def test_children_of_a_server_stay_two_incidents(book: IncidentBook, age: float, ancestors: list[str]):
    """Two requests, two hands."""
    first = book.fold(judged(step("xmrig", 41, parent_age=age, ancestors=ancestors)))
    second = book.fold(judged(step("java", 42, parent_age=age, ancestors=ancestors)))
    assert first is not second


def test_a_run_is_over_after_a_minute(book: IncidentBook):
    """A server whose first minute saw an attack does not draw in all that it starts later."""
    first = book.fold(judged(step("steal", 41)))
    assert book.fold(judged(step("other", 42, seconds=59))) is first
    assert book.fold(judged(step("java", 43, seconds=60))) is not first


def test_a_pid_that_was_given_anew_is_another_run(book: IncidentBook):
    """Two jobs, one after the other, by the same number."""
    first = book.fold(judged(step("steal", 41)))
    assert book.fold(judged(step("send", 42, seconds=30, parent_age=1))) is not first


def test_the_same_run_in_another_container_is_no_relation(book: IncidentBook):
    first = book.fold(judged(step("steal", 41)))
    assert book.fold(judged(step("send", 42, container={"id": "d" * 64}))) is not first


def test_what_is_faint_makes_no_run(book: IncidentBook):
    """A new tool in a build, told by nobody, ties nothing to itself; it joins an attack of its run."""
    faint = book.fold(judged(step("tool", 41), points=0))
    attack = book.fold(judged(step("steal", 42)))
    assert attack is not faint
    assert book.fold(judged(step("part", 43), points=0)) is attack

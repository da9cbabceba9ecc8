# SPDX-License-Identifier: Apache-2.0
"""A step that only a language model calls grave leads to one child; it accuses no ordinary process."""

import pytest
from scorer_making import anomaly

from habitus.engines import EngineScore, Score, bounded
from habitus_scorer.incident import Incident, Judged
from habitus_scorer.incidents import IncidentBook

UPLOAD = {"class_": "file", "op": "open", "file": {"path": "/app/plugin.sh"}, "path": ["webapp:v1", "f"]}


@pytest.fixture
def book() -> IncidentBook:
    return IncidentBook(cooldown_s=3600, across=False)


def said(one, rule: float = 0, model: float | None = 32) -> Judged:
    """Return an anomaly with what a rule and a model gave; None: the model has not answered yet."""
    engines: dict[str, EngineScore] = {"rule": bounded(Score(points=rule), 40)}
    engines["llm"] = bounded(Score(points=model or 0, abstained=model is None), 35)
    return Judged.of(one, engines)


def read(seconds: float, model: float | None = 32, **parts) -> Judged:
    """What the server, pid 7, does before it starts a program; its parent is the container's first."""
    return said(anomaly(pid=7, ppid=1, seconds=seconds, **UPLOAD | parts), model=model)


def start(name: str, pid: int, seconds: float, rule: float = 32, **parts) -> Judged:
    """A program that the server starts."""
    return said(anomaly([f"./{name}"], pid=pid, ppid=7, seconds=seconds, **parts), rule=rule)


def in_order(book: IncidentBook, *steps: Judged) -> list[str]:
    return [book.fold(step).id for step in steps]


def test_two_uploads_that_were_run_are_two_incidents_of_all_their_steps(book: IncidentBook):
    """The model speaks at once: the first read leads to the first miner, and to no further one."""
    led, first, again, second = in_order(book, read(0), start("xmrig", 41, 1), read(6), start("java", 42, 7))
    assert led == first == again
    assert second != first


def test_a_model_that_answers_late_makes_no_second_incident_of_one_attack(book: IncidentBook):
    """The read was faint when the miner was told of; the verdict on it joins the miner's alert."""
    lead = book.fold(read(0, model=None))
    miner = book.fold(start("xmrig", 41, 1))
    assert lead is not miner
    now_in, speaks = book.amend(lead, read(0))
    assert (now_in, speaks) == (miner, False)
    assert not lead.weighs
    assert miner.count == 2


@pytest.mark.parametrize("seconds", [2, 40, 158])
def test_a_step_is_told_of_after_what_it_started_as_well(book: IncidentBook, seconds: float):
    """A shell has read its script to the end when the miner ends: told then, or an hour later."""
    miner = book.fold(start("xmrig", 41, 99))
    near = seconds > 39
    assert (book.fold(read(seconds)) is miner) == near
    late = book.fold(read(seconds, model=None, id="late"))
    assert (book.amend(late, read(seconds, id="late"))[0] is miner) == near


def test_the_step_of_a_second_attack_does_not_draw_the_second_in(book: IncidentBook):
    """Its read comes before what it leads to, and within a minute of the first miner."""
    first, again, second, after = in_order(
        book, start("xmrig", 41, 1), read(6), start("java", 42, 7), read(8)
    )
    assert (again, after) == (first, second)
    assert second != first


def test_a_late_verdict_on_what_was_told_changes_that_alert(book: IncidentBook):
    """An alert that is out keeps its id: nothing of it moves to another."""
    lead = book.fold(read(0, model=None))
    lead.raised = lead.best.severity
    book.fold(start("xmrig", 41, 1))
    assert book.amend(lead, read(0)) == (lead, True)


def test_a_lead_is_cold_after_a_minute(book: IncidentBook):
    """A server reads much in a day."""
    warm, first = in_order(book, read(0), start("xmrig", 41, 60))
    assert warm == first
    cold, other = in_order(IncidentBook(3600), read(0), start("xmrig", 41, 61))
    assert cold != other


def test_a_lead_seen_in_many_replicas_is_no_attack_s(book: IncidentBook):
    """Folded across containers it is a release; the miner in one of them stands alone."""
    book = IncidentBook(3600)
    ids = in_order(book, read(0), read(1, container={"id": "d" * 64}), start("xmrig", 41, 2))
    assert ids[0] == ids[1] != ids[2]


def test_a_rule_s_word_accuses_the_process_itself(book: IncidentBook):
    """By evidence of its own the server is taken over: all that it starts is that attack."""
    token = said(anomaly(pid=7, ppid=1, **UPLOAD), rule=32)
    ids = in_order(book, token, start("xmrig", 41, 1), start("java", 42, 7))
    assert len(set(ids)) == 1


def test_a_program_that_only_the_model_calls_grave_draws_its_children_in(book: IncidentBook):
    """It is no ordinary process: the profile never saw it start so."""
    child = said(anomaly(["./part"], pid=50, ppid=41, seconds=2))
    assert len(set(in_order(book, start("tool", 41, 1, rule=0), child))) == 1


def test_the_same_after_a_restart(book: IncidentBook):
    """Restored step by step, the book folds what comes next as it would have done."""
    steps = [read(0), start("xmrig", 41, 1), read(6)]
    ids = in_order(book, *steps)
    again = IncidentBook(3600, across=False)
    for step, name in zip(steps, ids, strict=True):
        again.restore(step, name)
    fresh: Incident = again.fold(start("java", 42, 7))
    assert fresh.id not in ids

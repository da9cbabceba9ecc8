# SPDX-License-Identifier: Apache-2.0
"""A slow language model holds up no alert, and its verdict is not lost."""

import asyncio
from typing import Self

import pytest
from scorer_making import alerts, anomaly, publish, scores

from habitus import subjects
from habitus.bus import Bus
from habitus.engines import Finding, Score
from habitus.intake import Intake
from habitus.languages import Bilingual
from habitus.plugins import PluginFault
from habitus.settings import ScorerSettings
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.line import Line
from habitus_scorer.panel import Panel, Seat
from habitus_scorer.recovery import recover

MINING = Finding(
    id="miner", title=Bilingual(en="container cryptomining", zh="容器挖矿行为检测"), level="high"
)
SAID = Bilingual(en="It mines.", zh="这是挖矿。")


class Rule:
    """Gives every process the same points at once."""

    name, max_points = "rule", 40.0

    def __init__(self, points: float) -> None:
        self.points = points

    async def score(self, anomaly, context) -> Score:  # noqa: ARG002
        return Score(points=self.points, findings=[MINING] if self.points else [])


class Model:
    """Answers when the test lets it."""

    name, max_points = "llm", 35.0

    def __init__(self, points: float = 35) -> None:
        self.points, self.go, self.asked = points, asyncio.Event(), asyncio.Event()

    async def score(self, anomaly, context) -> Score:  # noqa: ARG002
        self.asked.set()
        if anomaly.event.process_name != "quick":
            await self.go.wait()
        return Score(points=self.points, explanation=SAID)


class Running:
    """A line whose panel waits a hundredth of a second for the model, and a minute for its late answer."""

    def __init__(self, bus: Bus, model: Model, rule: float = 30) -> None:
        self.bus, self.book = bus, IncidentBook(3600)
        seats = [Seat("rule", Rule(rule), 40, 60), Seat("llm", model, 35, 0.01, 60)]
        self.line = Line(bus, Panel(seats), self.book, 40)
        self.stop = asyncio.Event()

    async def __aenter__(self) -> Self:
        intake = Intake(self.bus, subjects.ANOMALIES, "scorer", self.line.handle)
        await intake.create()
        await recover(self.bus, "scorer", self.book, self.line)
        self.task = asyncio.create_task(intake.run(self.stop))
        return self

    async def __aexit__(self, *_error) -> None:
        self.stop.set()
        await self.task


async def test_the_alert_comes_at_once_and_again_with_the_late_verdict(bus: Bus):
    """The score of the anomaly waits, those behind it in the container do not."""
    model = Model()
    async with Running(bus, model):
        await publish(bus, anomaly(["./slow"], pid=1), anomaly(["./quick"], pid=2))
        first = (await alerts(bus, 2))[0]
        assert first.engines["llm"].note == "no answer within 0.01 s; the alert follows when it comes"
        assert [one.event_id for one in await scores(bus, 1)] == ["e2-0"]
        model.go.set()
        told = [one for one in await alerts(bus, 3) if one.id == first.id]
        stored = {one.event_id: one for one in await scores(bus, 2)}
    assert [(one.revision, one.score) for one in told] == [(1, 75), (2, 86.7)]
    assert told[1].explanation == SAID
    assert told[1].latency_ms == told[0].latency_ms
    assert (stored["e1-0"].score, stored["e1-0"].alert) == (86.7, first.id)


async def test_a_late_verdict_alone_can_raise_the_alert(bus: Bus):
    """Below the threshold without the model: told once, when the model has spoken."""
    model = Model()
    async with Running(bus, model, rule=0):
        await publish(bus, anomaly(["./slow"], pid=1))
        await model.asked.wait()
        model.go.set()
        [score] = await scores(bus, 1)
        told = await alerts(bus, 1)
    assert [(one.id, one.revision, one.score) for one in told] == [(score.alert, 1, 46.7)]


async def test_a_scorer_that_ends_while_the_model_thinks_loses_nothing(bus: Bus, monkeypatch):
    """The next one asks again, updates the alert that is out, and stores one score."""
    monkeypatch.setattr("habitus.intake.ACK_WAIT_S", 1.0)
    await publish(bus, anomaly(["./slow"], pid=1))
    running = Running(bus, Model())
    async with running:
        [first] = await alerts(bus, 1)
        # As a kill would: nothing is acknowledged, nothing finished.
        intake_tasks = [task for task in asyncio.all_tasks() if "handle" in repr(task.get_coro())]
        for task in intake_tasks:
            task.cancel()
    model = Model()
    model.go.set()
    async with Running(bus, model):
        [score] = await scores(bus, 1)
        told = await alerts(bus, 2)
    assert {one.id for one in told} == {first.id}
    assert (score.alert, score.score, told[-1].explanation) == (first.id, 86.7, SAID)


async def test_an_answer_that_never_comes_is_given_up():
    """After both times the engine has abstained, and its work is cancelled."""
    verdict = await Panel([Seat("llm", Model(), 35, 0.01, 0.02)]).judge(anomaly())
    assert verdict.is_late
    assert (await verdict.completed())["llm"].note == "no answer within 0.03 s"


@pytest.mark.parametrize("value", [-1, "soon"])
def test_a_late_time_that_is_none_is_named(value):
    chosen = ScorerSettings(engines=["llm"], engine={"llm": {"late_s": value}})
    with pytest.raises(PluginFault, match=r"scorer\.engine\.llm\.late_s"):
        Panel.seated(chosen, lambda *_: asyncio.sleep(0))

# SPDX-License-Identifier: Apache-2.0
"""The line inside one process: what happens between two steps, and in which order."""

import asyncio
from typing import Self

import pytest
from scorer_making import POD, alerts, anomaly, publish, scores, stored

from habitus import subjects
from habitus.bus import Bus
from habitus.engines import Finding, Score
from habitus.intake import Intake
from habitus.languages import Bilingual
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.line import Line
from habitus_scorer.panel import Panel, Seat
from habitus_scorer.recovery import recover

MINING = Finding(
    id="miner", title=Bilingual(en="container cryptomining", zh="容器挖矿行为检测"), level="high"
)


class Engine:
    """Gives each process the points that the test says; waits where it says."""

    name, max_points = "rule", 40.0

    def __init__(self, *, wait_for: str = "") -> None:
        self.wait_for, self.go = wait_for, asyncio.Event()

    async def score(self, anomaly, context) -> Score:  # noqa: ARG002
        if anomaly.event.process_name == self.wait_for:
            await self.go.wait()
        return Score(points=30, findings=[MINING])


class Running:
    """A line with its intake as tasks of this process."""

    def __init__(self, bus: Bus, engine: Engine) -> None:
        self.bus, self.book = bus, IncidentBook(3600)
        self.line = Line(bus, Panel([Seat("rule", engine, 40, 60)]), self.book, 40)
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


async def test_death_between_alert_and_score_raises_nothing_twice(bus: Bus, monkeypatch):
    """The alert is out, the score is not: the next scorer scores the anomaly under the same alert."""

    async def dies(*_args):
        raise TimeoutError("killed here")

    await publish(bus, anomaly())
    with monkeypatch.context() as patch:
        patch.setattr(Line, "_send", dies)
        async with Running(bus, Engine()):
            [alert] = await alerts(bus, 1)
    # The same, past the broker's own deduplication: only what was restored can know.
    monkeypatch.setattr("habitus_scorer.line.Line._store", _store_without_id)
    await bus.js.delete_consumer(subjects.ANOMALIES, "scorer")
    async with Running(bus, Engine()) as running:
        [score] = await scores(bus, 1)
        [incident] = running.book._incidents.values()
    assert score.alert == alert.id
    assert (incident.revision, incident.id) == (1, alert.incident)
    assert len(await alerts(bus, 1)) == 1


async def _store_without_id(self: Line, subject: str, payload: bytes, message_id: str) -> None:
    await self._bus.js.publish(subject, payload)


async def test_slow_anomaly_holds_up_only_its_container(bus: Bus):
    """Order is kept within a container; another container overtakes."""
    engine = Engine(wait_for="slow")
    async with Running(bus, engine):
        await publish(
            bus,
            anomaly(["./slow"], pid=1),
            anomaly(["./behind"], pid=2),
            anomaly(["./other"], pid=3, container={"id": "d" * 64}),
        )
        [first] = await scores(bus, 1)
        assert first.event_id == "e3-0"
        engine.go.set()
        lines = await scores(bus, 3)
    assert [line.event_id for line in lines] == ["e3-0", "e1-0", "e2-0"]


async def test_anomaly_that_breaks_the_scoring_is_parked(bus: Bus, monkeypatch):
    """A fault of ours costs one anomaly, which is kept with the reason."""

    def broken(*_args):
        raise KeyError("no such thing")

    async with Running(bus, Engine()):
        with monkeypatch.context() as patch:
            patch.setattr("habitus_scorer.line.alert_of", broken)
            await publish(bus, anomaly(pid=1))
            await stored(bus, subjects.PARKED, 1)
        await publish(bus, anomaly(["./next"], pid=2))
        [score] = await scores(bus, 1)
    assert score.event_id == "e2-0"
    parked = await bus.js.get_msg(subjects.PARKED, seq=1)
    assert parked.headers["Habitus-Why"].startswith("KeyError")


@pytest.mark.parametrize("count", [1, 700])
async def test_intake_takes_one_and_many(bus: Bus, count: int):
    """A single message comes at once, and more than fit in hand come all, in order."""
    await publish(bus, *(anomaly(pid=n + 1, id=f"e{n}") for n in range(count)))
    seen: list[int] = []
    full = asyncio.Event()

    async def handle(message) -> None:
        seen.append(message.metadata.sequence.stream)
        await message.ack()
        if len(seen) == count:
            full.set()

    intake, stop = Intake(bus, subjects.ANOMALIES, "scorer", handle, in_hand=100), asyncio.Event()
    await intake.create()
    task = asyncio.create_task(intake.run(stop))
    await full.wait()
    stop.set()
    await task
    assert seen == list(range(1, count + 1))


async def test_intake_survives_the_loss_of_its_consumer(bus: Bus):
    """A consumer that an operator deleted is asked for again."""
    seen = asyncio.Queue()

    async def handle(message) -> None:
        await message.ack()
        await seen.put(message.metadata.sequence.stream)

    intake, stop = Intake(bus, subjects.ANOMALIES, "scorer", handle), asyncio.Event()
    await intake.create()
    task = asyncio.create_task(intake.run(stop))
    await publish(bus, anomaly(pid=1))
    assert await seen.get() == 1
    await bus.js.delete_consumer(subjects.ANOMALIES, "scorer")
    await publish(bus, anomaly(pid=2))
    assert await seen.get() >= 1
    stop.set()
    await task


async def test_a_score_tells_the_habit_and_the_replica_that_showed_it(bus: Bus):
    """A Pod's containers are one replica, however often they are restarted."""
    in_pod, alone = anomaly(), anomaly(pid=42, container={"pod": None})
    in_pod.habits, in_pod.replicas = ["a habit"], 7
    async with Running(bus, Engine()):
        await publish(bus, in_pod, alone)
        stored = {one.anomaly_id: one for one in await scores(bus, 2)}
    told = stored[in_pod.id]
    assert (told.habits, told.place, told.replicas) == (["a habit"], POD["uid"], 7)
    told = stored[alone.id]
    assert (told.habits, told.place, told.replicas) == ([], "c" * 64, 0)

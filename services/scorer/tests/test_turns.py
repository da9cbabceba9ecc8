# SPDX-License-Identifier: Apache-2.0
"""In a crowd what is grave goes first; everything else keeps the order of the stream."""

import asyncio
from typing import Self

import pytest
from scorer_making import anomaly, judged, publish, scores, stored, until

from habitus import subjects, wire
from habitus.alerts import Alert
from habitus.anomalies import Anomaly
from habitus.bus import Bus
from habitus.engines import Context, Finding, Score
from habitus.images import partition_of
from habitus.intake import Intake
from habitus.languages import Bilingual
from habitus_scorer.alerting import alert_of
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.line import IN_HAND, Line
from habitus_scorer.panel import Panel, Seat
from habitus_scorer.turns import AT_ONCE, CROWD, Turns

MINING = Finding(id="miner", title=Bilingual(en="cryptomining", zh="挖矿"), level="critical")
OTHER = {"id": "d" * 64}


class Order:
    """Takes turns for anomalies and notes who had one, in which order."""

    def __init__(self) -> None:
        self.turns, self.had, self.go = Turns(), [], asyncio.Event()
        self.go.set()

    async def _one(self, each: Anomaly, grave: bool) -> None:  # noqa: FBT001
        await self.turns.take(each, grave=grave)
        try:
            self.had.append(each.event.id)
            await self.go.wait()
        finally:
            self.turns.give_back()

    async def had_by(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.had) >= count

        await until(enough)

    def start(self, *anomalies: Anomaly, grave: bool = False) -> list["asyncio.Task[None]"]:
        return [asyncio.create_task(self._one(each, grave)) for each in anomalies]


def faint(count: int, first: int = 0) -> list[Anomaly]:
    return [anomaly(["./report"], pid=1000 + n, id=f"f{n}") for n in range(first, first + count)]


def grave(**parts) -> Anomaly:
    return anomaly(["./xmrig"], id="grave", container=OTHER, **parts)


async def test_what_is_grave_goes_before_a_crowd():
    """Ten thousand came before it: a few strides of them have had their turn when it has its own."""
    order = Order()
    tasks = order.start(*faint(10_000)) + order.start(grave(), grave=True)
    await asyncio.gather(*tasks)
    assert order.had.index("grave") < 100
    order.had.remove("grave")
    assert order.had == [f"f{n}" for n in range(10_000)]


async def test_nobody_goes_before_another_where_few_wait():
    order = Order()
    await asyncio.gather(*order.start(*faint(CROWD - 1)), *order.start(grave(), grave=True))
    assert order.had[-1] == "grave"


async def test_its_process_and_its_parents_come_along_in_their_order():
    """The shell that it came from and what the shell did go before it, what others did does not."""
    order = Order()
    line = [
        anomaly(["sh"], pid=50, ppid=40, id="shell", container=OTHER),
        anomaly(["sh"], pid=50, ppid=40, id="again", container=OTHER),
        anomaly(["sshd"], pid=40, ppid=1, id="parent", container=OTHER),
        anomaly(["sh"], pid=50, ppid=40, id="elsewhere"),
    ]
    tasks = order.start(*faint(500), *line, *faint(500, 500))
    await asyncio.gather(*tasks, *order.start(grave(pid=60, ppid=50), grave=True))
    at = order.had.index("grave")
    assert order.had[at - 3 : at + 1] == ["shell", "again", "parent", "grave"]
    assert order.had.index("elsewhere") > 500


async def test_what_is_grave_waits_for_no_place():
    """All places are taken by what does not end: faint ones wait, the grave one does not."""
    order = Order()
    order.go.clear()
    tasks = order.start(*faint(AT_ONCE + CROWD + 1))
    await order.had_by(AT_ONCE)
    tasks += order.start(grave(), grave=True)
    await order.had_by(AT_ONCE + 1)
    assert order.had[-1] == "grave"
    order.go.set()
    await asyncio.gather(*tasks)
    assert len(order.had) == len(set(order.had)) == AT_ONCE + CROWD + 2


@pytest.mark.parametrize("after", [0, 1, 2, 3])
async def test_who_is_cancelled_leaves_no_place_taken(after: int):
    """Before its turn, on its turn or in it: the others have theirs."""
    order = Order()
    order.go.clear()
    doomed = order.start(*faint(AT_ONCE))
    for _ in range(after):
        await asyncio.sleep(0)
    for task in doomed:
        task.cancel()
    await asyncio.gather(*doomed, return_exceptions=True)
    order.go.set()
    order.had.clear()
    await asyncio.gather(*order.start(*faint(AT_ONCE, 5000)))
    assert len(order.had) == AT_ONCE


class Rule:
    """Calls mining critical; never waits."""

    name, max_points, waits = "rule", 40.0, False

    async def score(self, anomaly: Anomaly, context: Context) -> Score:  # noqa: ARG002
        mines = anomaly.event.process_name == "xmrig"
        return Score(points=40, findings=[MINING]) if mines else Score()


class Slow:
    """Has no answer to anything faint until it is let."""

    name, max_points = "slow", 5.0

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def score(self, anomaly: Anomaly, context: Context) -> Score:  # noqa: ARG002
        if anomaly.event.process_name != "xmrig":
            await self.go.wait()
        return Score()


class Running:
    """A line with its intake as tasks of this process."""

    def __init__(self, bus: Bus) -> None:
        self.slow = Slow()
        panel = Panel([Seat("rule", Rule(), 40, 60), Seat("slow", self.slow, 5, 600)])
        self.line = Line(bus, panel, IncidentBook(3600), 40)
        self.intake = Intake(bus, subjects.ANOMALIES, "scorer", self.line.handle, IN_HAND)
        self.stop = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.intake.create()
        self.task = asyncio.create_task(self.intake.run(self.stop))
        return self

    async def __aexit__(self, *_error) -> None:
        self.stop.set()
        await self.task


async def test_a_critical_alert_goes_out_before_ten_thousand_faint_anomalies(bus: Bus):
    """It came last and none before it is done: its alert and its score are stored first, nothing is lost."""
    flood = faint(10_000)
    for each in flood:
        subject = subjects.anomalies(partition_of(each.image_key))
        await bus.js.publish_async(subject, wire.encode(each), wait_stall=30)
    await bus.js.publish_async_completed()
    await publish(bus, grave())
    async with Running(bus) as running:
        [raw] = await stored(bus, subjects.ALERTS, 1)
        [first] = await scores(bus, 1)
        running.slow.go.set()

        async def all_acknowledged() -> bool:
            floor = (await bus.js.consumer_info(subjects.ANOMALIES, "scorer")).ack_floor
            return floor is not None and floor.stream_seq == len(flood) + 1

        await until(all_acknowledged)
        info = await bus.js.stream_info(subjects.SCORES)
    assert (first.event_id, first.alert) == ("grave", Alert.model_validate_json(raw).id)
    assert info.state.messages == len(flood) + 1


def test_what_was_told_ahead_of_its_turn_is_not_told_again_after_a_restart():
    """Its parent's faint step comes first now: the deed still leads to the alert that is out."""
    step = judged(anomaly(["./step"], pid=41, seconds=0), points=0)
    deed = judged(anomaly(["./xmrig"], pid=42, ppid=41, seconds=1))
    before = IncidentBook(3600).fold(deed)
    told = alert_of(before, deed.anomaly, deed.anomaly.event.ts)
    book = IncidentBook(3600)
    book.restore_alert(told)
    book.fold(step)
    assert book.fold(deed).id == before.id

# SPDX-License-Identifier: Apache-2.0
"""Delivery on a real broker: order, retries, dead letters, and no alert twice."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator

import nats.errors
import pytest
from nats.js.errors import Error as JetStreamError
from receivers import alert_of, receiving
from scorer_making import anomaly, publish, scorer, stored, until

from habitus import subjects
from habitus.alerts import Alert, Severity
from habitus.bus import Bus, NobodyServes
from habitus.sinks import SinkFault, SinkReply, SinkRequest
from habitus_scorer import outlets
from habitus_scorer.delivery import Delivery
from habitus_scorer.outlets import Outlet, pause_s


class Scripted:
    """A sink that fails as the test says, by alert: a list of faults, then it takes."""

    def __init__(self, **faults: list[Exception]) -> None:
        self.faults = {name.replace("_", "-"): list(each) for name, each in faults.items()}
        self.tried: list[str] = []
        self.took: asyncio.Queue[str] = asyncio.Queue()
        self.closed = False

    async def send(self, alert: Alert) -> None:
        self.tried.append(f"{alert.id}:{alert.revision}")
        if self.faults.get(alert.id):
            raise self.faults[alert.id].pop(0)
        await self.took.put(f"{alert.id}:{alert.revision}")

    async def close(self) -> None:
        self.closed = True

    async def taken(self, count: int) -> list[str]:
        return [await self.took.get() for _ in range(count)]


@contextlib.asynccontextmanager
async def sending(bus: Bus, sink, name: str = "out", **delivery) -> AsyncIterator[Outlet]:
    """Run an outlet as a task of this process."""
    outlet, stop = Outlet(bus, name, sink, Delivery(**delivery)), asyncio.Event()
    await outlet.create()
    task = asyncio.create_task(outlet.run(stop))
    try:
        yield outlet
    finally:
        stop.set()
        await task


async def raised(bus: Bus, *alerts: Alert) -> None:
    """Store alerts as the line does."""
    for alert in alerts:
        await bus.js.publish(subjects.alerts(alert.severity), alert.model_dump_json().encode())


def fresh(name: str, **changes) -> Alert:
    return alert_of(id=name, raised=time.time_ns(), **changes)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "FIRST_PAUSE_S", 0.02)


async def test_alerts_go_out_in_order_and_the_sink_is_closed(bus: Bus):
    sink = Scripted()
    async with sending(bus, sink):
        await raised(bus, *(fresh(f"a-{number}") for number in range(40)))
        assert await sink.taken(40) == [f"a-{number}:1" for number in range(40)]
    assert sink.closed


async def test_one_that_fails_steps_aside_and_comes_later(bus: Bus):
    """The others go on meanwhile; a later revision of the same alert waits for the earlier one."""
    sink = Scripted(a_1=[OSError("gone"), SinkFault("busy"), TimeoutError()])
    async with sending(bus, sink):
        await raised(bus, fresh("a-1"), fresh("a-2"), fresh("a-1", revision=2))
        took = await sink.taken(3)
    assert took == ["a-2:1", "a-1:1", "a-1:2"]
    assert sink.tried.count("a-1:1") == 4


def test_pauses_double_with_jitter_and_are_bounded(monkeypatch):
    monkeypatch.setattr(outlets, "FIRST_PAUSE_S", 1.0)
    drawn = {attempt: [pause_s(attempt) for _ in range(200)] for attempt in (1, 2, 3, 7, 1000)}
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (7, 60), (1000, 60)):
        assert longest / 2 <= min(drawn[attempt]) < max(drawn[attempt]) <= longest
        assert len(set(drawn[attempt])) > 100


async def test_a_receiver_that_asks_for_time_gets_it_from_the_whole_sink(bus: Bus):
    sink = Scripted(a_1=[SinkFault("slow down", retry_after_s=0.5)])
    async with sending(bus, sink):
        began = time.monotonic()
        await raised(bus, fresh("a-1"), fresh("a-2"))
        await sink.taken(2)
    assert time.monotonic() - began >= 0.5
    assert sink.tried[0] == "a-1:1"


async def parked(bus: Bus, count: int, name: str = "out"):
    await stored(bus, subjects.PARKED, count)
    messages = [await bus.js.get_msg(subjects.PARKED, seq=sequence) for sequence in range(1, count + 1)]
    assert {message.subject for message in messages} == {subjects.dead_letters(name)}
    return messages


async def test_what_no_attempt_mends_is_a_dead_letter_at_once(bus: Bus):
    sink = Scripted(a_1=[SinkFault("answered 400", lasting=True)] * 9)
    async with sending(bus, sink) as outlet:
        await raised(bus, fresh("a-1"), fresh("a-2"))
        await sink.taken(1)
        [letter] = await parked(bus, 1)
        state = await outlet.state()
    assert sink.tried == ["a-1:1", "a-2:1"]
    assert Alert.model_validate_json(letter.data).id == "a-1"
    assert letter.headers["Habitus-Why"] == "alert a-1:1: answered 400"
    assert (state.dead, state.name) == (1, "out")


async def test_attempts_and_age_end_too(bus: Bus):
    sink = Scripted(a_1=[OSError("gone")] * 99, a_2=[OSError("gone")] * 99)
    old = alert_of(id="a-2", raised=time.time_ns() - 10**12)
    async with sending(bus, sink, attempts=3, give_up_s=900):
        await raised(bus, fresh("a-1"), old)
        await parked(bus, 2)
    assert (sink.tried.count("a-1:1"), sink.tried.count("a-2:1")) == (3, 1)


async def test_a_severity_below_the_sinks_own_is_not_sent(bus: Bus):
    sink = Scripted()
    async with sending(bus, sink, min_severity="high"):
        await raised(
            bus,
            *(fresh(f"a-{severity}", severity=severity) for severity in (Severity.MEDIUM, Severity.HIGH)),
        )
        assert await sink.taken(1) == ["a-high:1"]
    assert sink.tried == ["a-high:1"]


async def test_what_a_sink_took_is_not_sent_again_though_the_stream_gives_it_again(bus: Bus):
    """The place in the stream is lost altogether; DELIVERED knows."""
    sink = Scripted()
    async with sending(bus, sink):
        await raised(bus, fresh("a-1"), fresh("a-1", revision=2))
        await sink.taken(2)
    await bus.js.delete_consumer(subjects.ALERTS, "sink-out")
    again = Outlet(bus, "out", sink, Delivery())
    await again._intake.create()  # from the beginning, as a new sink never is
    stop = asyncio.Event()
    task = asyncio.create_task(again.run(stop))
    await raised(bus, fresh("a-3"))
    assert await sink.taken(1) == ["a-3:1"]
    stop.set()
    await task
    assert sink.tried == ["a-1:1", "a-1:2", "a-3:1"]


async def test_a_hanging_sink_holds_up_only_itself(bus: Bus):
    class Hanging(Scripted):
        async def send(self, alert: Alert) -> None:  # noqa: ARG002
            await asyncio.Event().wait()

    good = Scripted()
    async with sending(bus, Hanging(), "hanging", timeout_s=0.05) as held, sending(bus, good):
        await raised(bus, *(fresh(f"a-{number}") for number in range(5)))
        assert len(await good.taken(5)) == 5
        assert (await held.state()).waiting == 5


async def test_an_alert_that_waits_for_another_attempt_does_not_hold_up_the_end(bus: Bus):
    """It is not acknowledged: the next scorer sends it."""
    sink = Scripted(a_1=[OSError("gone")])
    async with sending(bus, sink):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outlets, "FIRST_PAUSE_S", 60.0)
            await raised(bus, fresh("a-1"))
            await until(lambda: _nonempty(sink.tried))
            began = time.monotonic()
    assert time.monotonic() - began < 3
    async with sending(bus, sink):
        assert await sink.taken(1) == ["a-1:1"]


async def _nonempty(items: list[str]) -> bool:
    return bool(items)


async def test_a_message_that_is_no_alert_is_parked(bus: Bus):
    sink = Scripted()
    async with sending(bus, sink):
        await bus.js.publish(subjects.alerts("high"), b'{"schema_version": "9.0"}')
        await raised(bus, fresh("a-1"))
        assert await sink.taken(1) == ["a-1:1"]
        await stored(bus, subjects.PARKED, 1)
    assert sink.tried == ["a-1:1"]


async def asked(bus: Bus, **request) -> SinkReply:
    raw = SinkRequest(**request).model_dump_json().encode()
    return SinkReply.model_validate_json(await bus.request(subjects.SINKS, raw, 10))


async def test_kill_9_doubles_and_loses_nothing(bus: Bus, environment):
    """A scorer that posts to a real server is killed between alerts: each revision arrives once."""
    with receiving() as receiver:
        table = {"hook": {"kind": "webhook", "url": receiver.url}}
        settings = {"sinks": "hook", "sink": json.dumps(table)}
        async with scorer(environment, **settings) as process:
            await until(lambda: bus.js.consumers_info(subjects.ALERTS))
            await raised(bus, *(fresh(f"a-{number}") for number in range(10)))
            await until(lambda: _several(receiver.asked, 3))
            process.send_signal(signal.SIGKILL)
            await process.wait()
        async with scorer(environment, **settings):
            await until(lambda: _several({one.headers["idempotency-key"] for one in receiver.asked}, 10))
            await until(lambda: _nothing_waits(bus))
        keys = [one.headers["idempotency-key"] for one in receiver.asked]
    assert len(set(keys)) == 10
    assert len(keys) - len(set(keys)) <= 1  # the one that was under way when it was killed


async def _nothing_waits(bus: Bus) -> bool:
    with contextlib.suppress(NobodyServes):  # it has only just started
        return (await asked(bus, op="list")).sinks[0].waiting == 0
    return False


async def _several(items, count: int) -> bool:
    return len(items) >= count


async def test_a_person_lists_tests_and_sends_again(bus: Bus, environment):
    """A dead letter is sent once more when the receiver is well, and then leaves."""
    with receiving() as receiver:
        receiver.answers = [(400, {})]
        table = {"hook": {"kind": "webhook", "url": receiver.url}}
        async with scorer(environment, sinks="hook", sink=json.dumps(table)):
            await until(lambda: bus.js.consumers_info(subjects.ALERTS))
            await publish(bus, anomaly())
            await stored(bus, subjects.PARKED, 1)
            [state] = (await asked(bus, op="list")).sinks
            assert (state.name, state.kind, state.dead) == ("hook", "webhook", 1)
            assert (await asked(bus, op="test", sink="hook")).error == "answered 400: ok"
            assert (await asked(bus, op="resend", sink="hook", sequence=1)).error == "answered 400: ok"
            assert "no such sink; it names: hook" in (await asked(bus, op="test", sink="x")).error
            assert (await asked(bus, op="resend", sink="hook", sequence=77)).error
            receiver.answers = [(204, {})]
            assert (await asked(bus, op="test", sink="hook")).error == ""
            assert receiver.asked[-1].json["id"].startswith("a-test-")
            assert (await asked(bus, op="resend", sink="hook", sequence=1)).error == ""
            assert (await asked(bus, op="list")).sinks[0].dead == 0
        first, last = receiver.asked[0], receiver.asked[-1]
    assert first.headers["idempotency-key"] == last.headers["idempotency-key"]
    assert (await bus.js.stream_info(subjects.PARKED)).state.messages == 0


async def test_a_broker_that_goes_away_over_an_alert_makes_no_second_one(bus: Bus, nats_server):
    """The receiver took it, the broker is gone before that is noted: it is noted when the broker is back."""

    class Fatal(Scripted):
        async def send(self, alert: Alert) -> None:
            await super().send(alert)
            nats_server.stop(kill=True)

    sink = Fatal()
    async with sending(bus, sink):
        await raised(bus, fresh("a-1"))
        assert await sink.taken(1) == ["a-1:1"]
        await until(lambda: _gone(nats_server))
        await asyncio.sleep(0.3)
        nats_server.start()
        await until(lambda: _noted(bus, "out.a-1"))
    assert sink.tried == ["a-1:1"]


async def _gone(server) -> bool:
    return server.process is None


async def _noted(bus: Bus, key: str) -> bool:
    try:
        bucket = await bus.js.key_value(subjects.DELIVERED)
        return (await bucket.get(key)).value == b"1"
    except (nats.errors.Error, JetStreamError, TimeoutError):
        return False

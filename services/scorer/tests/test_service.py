# SPDX-License-Identifier: Apache-2.0
"""The scorer as its own process on a real broker: one score an anomaly, one alert an attack."""

import asyncio
import signal

import pytest
from scorer_making import alerts, anomaly, publish, scorer, scores, stored, until

from habitus import subjects, wire
from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.images import partition_of
from habitus.judging import JudgeReply

ORDINARY = ["/srv/report", "--id", "1"]


async def test_mining_gives_one_high_alert_and_one_score(bus: Bus, environment):
    """exec of a miner → one alert in both languages, stored before the score that names it."""
    async with scorer(environment):
        await publish(bus, anomaly())
        [score] = await scores(bus, 1)
        [alert] = await alerts(bus, 1)
    assert (alert.severity, alert.title.zh) == ("high", "高危：容器挖矿行为检测")
    assert (score.alert, score.incident, score.score) == (alert.id, alert.incident, alert.score)
    assert (score.anomaly_id, score.event_id) == ("e41-0:unknown-path", "e41-0")
    assert alert.engines["llm"].abstained
    assert alert.engines["llm"].note == "nobody serves habitus.llm.judge"
    raw = await bus.js.get_msg(subjects.ALERTS, seq=1)
    assert (raw.subject, raw.headers["Nats-Msg-Id"]) == ("habitus.alerts.high", f"{alert.id}:1")
    raw = await bus.js.get_msg(subjects.SCORES, seq=1)
    assert raw.subject == subjects.scores(partition_of("webapp:v1"))


async def test_ordinary_departure_is_scored_and_wakes_nobody(bus: Bus, environment):
    """A departure that no rule names, with no model to ask: a low score, no alert."""
    async with scorer(environment):
        await publish(bus, anomaly(ORDINARY, reason="unknown-argument"))
        [score] = await scores(bus, 1)
    assert score.score < 20
    assert score.alert is None
    assert await alerts(bus, 0) == []


async def test_miner_and_renamed_miner_are_two_alerts(bus: Bus, environment):
    """bash → ./xmrig, its restart and its children, then bash → ./java: two alerts."""
    renamed = ["./java", "-o", "stratum+tcp://pool.minexmr.com:4444"]
    async with scorer(environment):
        await publish(
            bus,
            anomaly(pid=41),
            anomaly(["sh", "-c", "id"], pid=42, ppid=41),
            anomaly(pid=43, seconds=1),
            anomaly(renamed, pid=44, seconds=2, exe="/usr/bin/java", reason="unknown-argument"),
        )
        lines = await scores(bus, 4)
        raised = await alerts(bus, 2)
    assert [line.alert for line in lines] == [raised[0].id] * 3 + [raised[1].id]
    assert [alert.severity for alert in raised] == ["high", "high"]
    assert [alert.who.name for alert in raised] == ["xmrig", "java"]


async def test_killed_scorer_raises_no_second_alert(bus: Bus, environment):
    """kill -9 after the alert; the next scorer knows the incident and stays silent on its anomalies."""
    async with scorer(environment) as process:
        await publish(bus, anomaly(pid=41))
        [first] = await alerts(bus, 1)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with scorer(environment):
        await publish(bus, anomaly(["sh", "-c", "id"], pid=42, ppid=41), anomaly(pid=50, seconds=3))
        lines = await scores(bus, 3)
        await publish(bus, anomaly(["./java", "-o", "stratum+tcp://x:1"], pid=60, seconds=4))
        raised = await alerts(bus, 2)
    assert len({line.anomaly_id for line in lines}) == len(lines) == 3
    assert {line.alert for line in lines} == {first.id}
    assert len({alert.id for alert in raised}) == 2


async def test_flood_with_a_kill_loses_and_doubles_nothing(bus: Bus, environment):
    """2 000 anomalies of 20 Pods, kill -9 in the middle: 2 000 scores, one alert that lists them."""
    flood = [
        anomaly(["./xmrig"], pid=100 + n, id=f"f{n}", container={"id": f"{n % 20:064x}"}) for n in range(2000)
    ]
    await publish(bus, *flood)
    async with scorer(environment) as process:
        await stored(bus, subjects.SCORES, 300)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with scorer(environment):
        lines = await scores(bus, 2000)
        raised = await alerts(bus, 1)
        while raised[-1].summary.container_count < 20:
            raised = await alerts(bus, len(raised) + 1)
    assert sorted(line.anomaly_id for line in lines) == sorted(each.id for each in flood)
    assert len({alert.id for alert in raised}) == 1
    assert [alert.revision for alert in raised] == list(range(1, len(raised) + 1))
    assert {where.container_id for where in raised[-1].summary.containers} == {f"{n:064x}" for n in range(20)}
    assert {line.alert for line in lines} == {raised[0].id}


async def test_poisoned_messages_are_parked_and_the_rest_goes_on(bus: Bus, environment):
    """Noise, a newer schema and a message of another kind are kept for a person, with the reason."""

    async def nothing_pending() -> bool:
        return not (await bus.js.consumer_info(subjects.ANOMALIES, "scorer")).num_ack_pending

    newer = wire.encode(anomaly()).replace(b"\xa31.0", b"\xa39.0")
    async with scorer(environment):
        for poison in (b"\xc1", b"", newer, wire.encode(wire.EventBatch(events=[]))):
            await bus.js.publish(subjects.anomalies(3), poison)
        await publish(bus, anomaly())
        await scores(bus, 1)
        await stored(bus, subjects.PARKED, 4)
        await until(nothing_pending)
    parked = [await bus.js.get_msg(subjects.PARKED, seq=sequence) for sequence in range(1, 5)]
    reasons = sorted(message.headers["Habitus-Why"] for message in parked)
    assert any("schema version '9.0'" in reason for reason in reasons)
    assert all(message.headers["Habitus-Subject"] == subjects.anomalies(3) for message in parked)


async def test_redelivered_anomaly_is_scored_once(bus: Bus, environment):
    """The same anomaly published twice gives one score, even past the broker's own window."""
    async with scorer(environment):
        await publish(bus, anomaly())
        await scores(bus, 1)
        again = anomaly()
        await bus.js.publish(subjects.anomalies(partition_of("webapp:v1")), wire.encode(again))
        await publish(bus, anomaly(ORDINARY, pid=99))
        lines = await scores(bus, 2)
    assert [line.anomaly_id for line in lines] == ["e41-0:unknown-path", "e99-0:unknown-path"]


async def test_model_behind_the_bus_takes_part(bus: Bus, environment):
    """A gateway that answers: its points count and its explanation stands in the alert."""
    reply = JudgeReply(
        verdict="malicious",
        confidence=0.95,
        provider="test",
        explanation={"en": "A miner with another name.", "zh": "改名的挖矿程序。"},
    )

    async def answer(message) -> None:
        await message.respond(reply.model_dump_json().encode())

    await bus.nc.subscribe(subjects.JUDGE, cb=answer)
    await bus.nc.flush()
    async with scorer(environment):
        await publish(bus, anomaly())
        [alert] = await alerts(bus, 1)
    assert alert.engines["llm"].points == pytest.approx(33.25)
    assert alert.explanation.zh == "改名的挖矿程序。"


async def test_silent_model_costs_its_timeout_and_the_alert_says_so(bus: Bus, environment):
    """A gateway that never answers: the alert comes all the same."""

    async def silence(_message) -> None:
        await asyncio.sleep(0)

    await bus.nc.subscribe(subjects.JUDGE, cb=silence)
    await bus.nc.flush()
    async with scorer(environment, timeout_s="0.2"):
        await publish(bus, anomaly())
        [alert] = await alerts(bus, 1)
    assert alert.engines["llm"].note == "no answer within 0.2 s; the alert follows when it comes"
    assert alert.severity == "high"


async def test_stdout_sink_writes_one_safe_line_an_alert(bus: Bus, environment):
    """The sink gets what the stream got; no control character reaches the terminal."""
    hostile = ["./xmrig", "\x1b[2J\u202e", "stratum+tcp://x"]
    async with scorer(environment, sinks="stdout") as process:
        assert process.stdout
        await until(lambda: bus.js.consumers_info(subjects.ALERTS))
        await publish(bus, anomaly(hostile))
        line = (await process.stdout.readline()).decode()
    [alert] = await alerts(bus, 1)
    assert Alert.model_validate_json(line) == alert
    assert line.rstrip("\n").isprintable()
    assert "高危" in line


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"engines": "rule,nosuch"}, "no plugin 'nosuch' in group 'habitus.engines'"),
        ({"sinks": "fax"}, "no plugin 'fax' in group 'habitus.sinks'"),
        ({"rules": '["/no/such"]'}, "/no/such: no such folder of rules"),
    ],
)
async def test_bad_settings_end_the_start_with_one_line(environment, settings, text: str):
    """Exit code 1 and one line that names the culprit, no traceback."""
    async with scorer(environment, **settings) as process:
        _, stderr = await process.communicate()
        assert process.returncode == 1
    assert text in stderr.decode()
    assert "Traceback" not in stderr.decode()


async def test_scorer_stops_cleanly(bus: Bus, environment):
    """SIGTERM: exit code 0, nothing left unacknowledged."""
    async with scorer(environment) as process:
        await publish(bus, anomaly())
        await scores(bus, 1)
        process.terminate()
        await process.communicate()
        assert process.returncode == 0
    assert (await bus.js.consumer_info(subjects.ANOMALIES, "scorer")).num_ack_pending == 0

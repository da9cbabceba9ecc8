# SPDX-License-Identifier: Apache-2.0
"""A blind interval alerts by itself, once for each image and cooldown."""

import pytest
from scorer_making import TS, alerts, anomaly, publish, scorer, scores

from habitus import wire
from habitus.alerts import Severity
from habitus.anomalies import Anomaly
from habitus.events import Container, Event, Lost
from habitus_scorer.blind import scores_of
from habitus_scorer.incidents import Judged

SECOND = 10**9


def blind(number=0, count=12, seconds=1, image="webapp:v1") -> Anomaly:
    since = TS + number * SECOND
    until = since + seconds * SECOND
    event = Event(
        ts=until,
        node="n1",
        class_="process",
        op="lost",
        container=Container(image=image),
        lost=Lost(counts={"process": count - 2, "file": 2}, since=since, until=until),
        id=f"n1-run-l{number}-{image}",
    )
    return Anomaly(
        id=f"{event.id}:blind-interval",
        event=event,
        image_key=image,
        revision=3,
        reason="blind-interval",
        path=[image, "blind-interval"],
        detail=f"{count} events lost (process {count - 2}, file 2) on node n1",
    )


async def test_it_becomes_one_alert_in_both_languages_with_what_to_do(environment, bus):
    async with scorer(environment):
        await publish(bus, *(blind(number) for number in range(5)))
        found = await scores(bus, 5)
        [alert] = await alerts(bus, 1)

    assert alert.severity == "medium"
    assert alert.title.en == "Medium: blind interval: events of this image were lost"
    assert alert.title.zh.startswith("中危：")
    assert "collector.ring_mb" in alert.advice.en
    assert "collector.ring_mb" in alert.advice.zh
    assert alert.action.kind == "review"
    assert (alert.where.node, alert.where.image) == ("n1", "webapp:v1")
    departure = alert.departures[0]
    assert (departure.reason, departure.detail) == (
        "blind-interval",
        "12 events lost (process 10, file 2) on node n1",
    )
    assert alert.events[0]["lost"]["counts"] == {"process": 10, "file": 2}
    assert {score.alert for score in found} == {alert.id}


async def test_each_image_has_its_own_and_a_deed_in_the_same_image_too(environment, bus):
    async with scorer(environment):
        await publish(bus, blind(), blind(image="db:16"), anomaly())
        raised = await alerts(bus, 3)

    assert len({alert.id for alert in raised}) == 3
    assert [len(alert.departures) for alert in raised] == [1, 1, 1]


@pytest.mark.parametrize(
    ("count", "seconds", "severity"),
    [(12, 1, Severity.MEDIUM), (1000, 1, Severity.HIGH), (3, 10, Severity.HIGH)],
)
def test_many_events_or_a_long_time_weigh_more(count, seconds, severity):
    one = blind(count=count, seconds=seconds)
    judged = Judged.of(one, scores_of(one))

    assert judged.severity is severity
    assert judged.score >= 40


def test_without_its_counts_it_still_alerts():
    one = blind()
    one.event.lost = None

    assert Judged.of(one, scores_of(one)).severity is Severity.MEDIUM


def test_it_survives_the_wire():
    one = blind()

    assert wire.decode(Anomaly, wire.encode(one)) == one

# SPDX-License-Identifier: Apache-2.0
"""The evidence of an alert is stored before the alert, is whole and bounded, and holds nothing up."""

import asyncio
import contextlib
import time

import pytest
from nats.js.errors import NotFoundError
from scorer_making import TS, alerts, anomaly, judged, publish, scores

from habitus import subjects
from habitus.alerts import Alert
from habitus.anomalies import Neighbour
from habitus.bus import Bus
from habitus.engines import Finding, Score, bounded
from habitus.evidence import Evidence, EvidenceFault
from habitus.intake import Intake
from habitus.languages import Bilingual
from habitus_scorer.alerting import alert_of
from habitus_scorer.evidence import EvidenceKeeper, bundle_of, packed
from habitus_scorer.incident import Incident, Judged
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.line import Line
from habitus_scorer.panel import Panel, Seat

FINDING = Finding(id="miner", title=Bilingual(en="mining", zh="挖矿"), level="high")


class Engine:
    name, max_points = "rule", 40.0

    async def score(self, anomaly, context) -> Score:  # noqa: ARG002
        return Score(points=30, findings=[FINDING], record={"rules": {"miner": "0123456789ab"}})


@contextlib.asynccontextmanager
async def running(bus: Bus, *, kept: bool = True):
    keeper = EvidenceKeeper(bus, 40)
    if kept:
        await keeper.open()
    line = Line(bus, Panel([Seat("rule", Engine(), 40, 60)]), IncidentBook(3600), 40, keeper)
    intake, stop = Intake(bus, subjects.ANOMALIES, "scorer", line.handle), asyncio.Event()
    await intake.create()
    task = asyncio.create_task(intake.run(stop))
    try:
        yield keeper
    finally:
        stop.set()
        await task


async def bundle(bus: Bus, alert_id: str) -> Evidence:
    message = await bus.js.get_last_msg(subjects.EVIDENCE, subjects.evidence_of(alert_id))
    return Evidence.unpack(message.data or b"")


async def test_the_bundle_lies_there_when_the_alert_comes(bus: Bus):
    """A reader of the alert finds its evidence at once, with what every engine gave and why."""
    found: asyncio.Queue[Evidence] = asyncio.Queue()

    async def look(message) -> None:
        await found.put(await bundle(bus, Alert.model_validate_json(message.data).id))

    await bus.nc.subscribe("habitus.alerts.>", cb=look)
    one = anomaly(pid=41)
    one.nearest, one.model, one.threshold = [Neighbour("./java -jar app", 0.41)], "lexical", 0.82
    async with running(bus):
        await publish(bus, one)
        [alert] = await alerts(bus, 1)
        evidence = await found.get()
    assert (evidence.alert.id, evidence.alert.revision, evidence.alert_at) == (alert.id, 1, 40)
    assert evidence.records == {"rule": {"rules": {"miner": "0123456789ab"}}}
    [kept] = evidence.anomalies
    back = kept.as_anomaly()
    assert (back.event.process.argv, back.path) == (one.event.process.argv, one.path)
    assert (back.nearest, back.model, back.threshold) == (one.nearest, "lexical", 0.82)
    assert kept.terms["rule"].model_dump() == {"points": 30, "max_points": 40, "abstained": False}
    assert not any(score.record for score in alert.engines.values())


async def test_only_the_newest_revision_is_kept(bus: Bus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("habitus_scorer.telling.GROWTH_S", 0.05)
    async with running(bus):
        await publish(bus, anomaly(pid=41))
        [first] = await alerts(bus, 1)
        await publish(bus, anomaly(["id"], pid=42, ppid=41))
        await alerts(bus, 2)
        evidence = await bundle(bus, first.id)
        info = await bus.js.stream_info(subjects.EVIDENCE)
    assert evidence.alert.revision == 2
    assert len(evidence.anomalies) == 2
    assert evidence.anomalies[0].anomaly["id"] == evidence.decisive
    assert info.state.messages == 1


async def test_without_the_stream_alerts_come_and_the_bundle_follows(bus: Bus, monkeypatch):
    """The stream is gone: nobody waits for it; when it can be made again, what waited is stored."""
    monkeypatch.setattr("habitus_scorer.evidence._PAUSE_S", 0.1)
    async with running(bus) as keeper:
        await bus.js.delete_stream(subjects.EVIDENCE)
        began = time.monotonic()
        await publish(bus, anomaly(pid=41))
        [alert] = await alerts(bus, 1)
        assert time.monotonic() - began < 2
        await scores(bus, 1)
        with pytest.raises(NotFoundError):
            await bundle(bus, alert.id)
        await keeper.catch_up()
        assert (await bundle(bus, alert.id)).alert.id == alert.id


async def test_a_stream_that_hangs_costs_an_alert_a_moment_and_the_next_nothing(bus: Bus, monkeypatch):
    """Its publishing never answers: the first alert waits its 150 ms, those behind it do not."""
    publish_now = bus.js.publish
    asked: list[str] = []

    async def hangs(subject, *args, **more):
        if subject.startswith("habitus.evidence."):
            asked.append(subject)
            await asyncio.sleep(more["timeout"])
            raise TimeoutError
        return await publish_now(subject, *args, **more)

    async with running(bus) as keeper:
        monkeypatch.setattr(bus.js, "publish", hangs)
        await publish(bus, *(anomaly([f"./{name}"], pid=41 + at) for at, name in enumerate("abcdefgh")))
        raised = await alerts(bus, 8)
    assert len(raised) == 8
    assert len(asked) < 8
    assert len(keeper._waiting) == 8


async def test_what_waits_is_bounded(bus: Bus):
    keeper = EvidenceKeeper(bus, 40)
    keeper._not_before = time.monotonic() + 60
    for number in range(100):
        incident = IncidentBook(3600).fold(judged(anomaly(pid=41, id=str(number))))
        await keeper.keep(incident, alert_of(incident, incident.best.anomaly, TS))
    assert len(keeper._waiting) == 64


def huge(count: int) -> Incident:
    book = IncidentBook(3600)
    for number in range(count):
        noise = [f"{number}-{at}-{hash((number, at))}" for at in range(2000)]
        book.fold(judged(anomaly(["./x", *noise], pid=41, id=f"n{number}")))
    [incident] = book
    return incident


def test_a_bundle_that_is_too_large_keeps_what_decided():
    """Fifty events of long arguments: the decisive one stays, or there is no bundle."""
    incident = huge(50)
    alert = alert_of(incident, incident.best.anomaly, TS)
    bundle = bundle_of(incident, alert, 40)
    whole = packed(bundle, 1 << 30)
    assert len(Evidence.unpack(whole).anomalies) == 50
    small = packed(bundle, len(whole) // 2)
    assert [one.anomaly["id"] for one in Evidence.unpack(small).anomalies] == [bundle.decisive]
    assert packed(bundle, 100) is None
    assert len(alert.model_dump_json()) < 1_000_000


@pytest.mark.parametrize("record", [{"x": object()}, {"x": "y" * 100_000}])
def test_a_record_that_is_none_is_left_out_and_costs_nothing_else(record):
    """An engine may be anybody's: what is no JSON, or too long, is named and left out."""
    score = bounded(Score(points=30, findings=[FINDING], record=record), 40)
    incident = IncidentBook(3600).fold(Judged.of(anomaly(), {"rule": score}))
    alert = alert_of(incident, incident.best.anomaly, TS)
    back = Evidence.unpack(packed(bundle_of(incident, alert, 40), 1 << 20))
    assert "left_out" in back.records["rule"]


def test_hostile_text_and_odd_numbers_survive():
    """Lone surrogates cannot come over the wire; control characters and NaN can."""
    one = anomaly(["./x", "\x1b]0;t\x07", "a\x00b", "\u202e"], confidence=float("nan"))
    incident = IncidentBook(3600).fold(judged(one))
    back = Evidence.unpack(packed(bundle_of(incident, alert_of(incident, one, TS), 40), 1 << 20))
    again = back.anomalies[0].as_anomaly()
    assert again.event.process.argv == one.event.process.argv
    assert again.confidence != again.confidence  # NaN


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8b", b"{}", b"[1]", b"\x1f\x8bnonsense", b"{" * 5000, b"\xff\xfe"],
)
def test_what_is_no_bundle_is_refused_in_one_line(data: bytes):
    with pytest.raises(EvidenceFault) as fault:
        Evidence.unpack(data)
    assert str(fault.value).startswith("no evidence bundle: ")
    assert "\n" not in str(fault.value)


def test_a_bundle_of_a_later_schema_and_one_that_unpacks_without_end_are_refused():
    incident = IncidentBook(3600).fold(judged(anomaly()))
    made = bundle_of(incident, alert_of(incident, incident.best.anomaly, TS), 40)
    with pytest.raises(EvidenceFault, match=r"schema version '2\.0'"):
        Evidence.unpack(made.model_copy(update={"schema_version": "2.0"}).pack())
    bomb = made.model_copy(update={"habitus": "x" * (33 << 20)}).pack()
    assert len(bomb) < 1_000_000
    with pytest.raises(EvidenceFault, match="32 MiB"):
        Evidence.unpack(bomb)

# SPDX-License-Identifier: Apache-2.0
"""The language model adds points; it is asked where it matters and cancels no critical rule."""

import asyncio
import json

import pytest
from scorer_making import anomaly

from habitus import subjects
from habitus.anomalies import Anomaly, Neighbour
from habitus.bus import Bus
from habitus.engines import Context, EngineServices, Finding, Score, bounded, total
from habitus.judging import JudgeReply, JudgeRequest
from habitus.languages import Bilingual
from habitus_scorer.engines.llm import LlmEngine
from habitus_scorer.severity import severity_of


class Gateway:
    """Answers what the test says and keeps what it was asked."""

    def __init__(self, **answer) -> None:
        self.answer: bytes | Exception = JudgeReply(**answer).model_dump_json().encode()
        self.asked: list[JudgeRequest] = []

    async def request(self, subject: str, payload: bytes, timeout: float) -> bytes:  # noqa: ARG002, ASYNC109
        assert subject == subjects.JUDGE
        self.asked.append(JudgeRequest.model_validate_json(payload))
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def engine(gateway: Gateway, **settings) -> LlmEngine:
    return LlmEngine(EngineServices(settings=settings, max_points=35, request=gateway.request))


def before(points: float = 30, level: str = "high", profile: float = 5) -> Context:
    title = Bilingual(en="container cryptomining", zh="容器挖矿行为检测")
    findings = [Finding(id="miner", title=title, level=level)] if points else []
    rule = bounded(Score(points=points, findings=findings), 40)
    return Context(scores={"profile": bounded(Score(points=profile), 5), "rule": rule})


async def summed(gateway: Gateway, context: Context, one: Anomaly | None = None) -> tuple[Score, float, str]:
    score = await engine(gateway).score(one or anomaly(), context)
    scores = context.scores | {"llm": bounded(score, 35)}
    return score, total(scores), severity_of(total(scores), scores)


async def test_malicious_adds_up_to_its_confidence():
    """A sure model takes a high alert up and may make it critical."""
    score, sum_of_all, severity = await summed(
        Gateway(verdict="malicious", confidence=1, techniques=["T1496", "nonsense"]), before(34)
    )
    assert score.points == 35
    assert (sum_of_all, severity) == (92.5, "critical")
    assert score.findings[0].techniques == ["T1496"]


async def test_agreement_does_not_dilute():
    """A model that agrees with little confidence does not lower what rules said."""
    without = total(before().scores)
    _, with_model, _ = await summed(Gateway(verdict="malicious", confidence=0.6), before())
    assert with_model == pytest.approx(without, abs=0.1)


async def test_benign_takes_weight_from_an_undecided_anomaly():
    """No rule, the model says benign: the total falls."""
    score, sum_of_all, _ = await summed(Gateway(verdict="benign", confidence=0.9), before(0))
    assert (score.points, score.abstained) == (0, False)
    assert sum_of_all < total(before(0).scores)


async def test_benign_cancels_no_critical_rule():
    """A prompt injection that yields `benign` leaves a critical rule's total and severity."""
    score, sum_of_all, severity = await summed(
        Gateway(verdict="benign", confidence=1), before(40, "critical")
    )
    assert (sum_of_all, severity) == (100, "critical")
    assert score.note == "the model says benign; a critical rule stands"


async def test_benign_keeps_a_high_rule_alerting():
    """A high rule against a sure `benign` still reaches a person."""
    _, sum_of_all, severity = await summed(Gateway(verdict="benign", confidence=1), before(30))
    assert sum_of_all >= 40
    assert severity == "medium"


@pytest.mark.parametrize("level", ["critical", "high"])
async def test_suspected_injection_adds_points_and_lowers_nothing(level: str):
    """Who speaks to the model is no better off than who is silent."""
    gateway = Gateway(verdict="unsure", confidence=0, flags=["injection-suspected"])
    score, with_model, severity = await summed(gateway, before(30, level))
    without = before(30, level)
    assert score.points > 0
    assert score.findings[0].id == "llm/injection-suspected"
    assert with_model >= total(without.scores) - 0.1
    assert severity == severity_of(total(without.scores), without.scores)


async def test_suspected_injection_without_a_rule_reaches_a_person():
    """The attempt alone is worth an alert."""
    gateway = Gateway(verdict="unsure", confidence=0, flags=["injection-suspected"])
    _, sum_of_all, _ = await summed(gateway, before(0))
    assert sum_of_all > total(before(0).scores)


async def test_long_event_is_cut_for_the_message_and_stays_another_question():
    """A megabyte of argv fits into a message; what differs in its middle is still asked."""
    gateway = Gateway(verdict="malicious", confidence=1)
    llm = engine(gateway)
    for middle in "ab":
        await llm.score(anomaly(["./x", "y" * 600_000 + middle + "y" * 400_000, *["z"] * 5000]), before())
    assert len(gateway.asked) == 2
    assert len(gateway.asked[0].model_dump_json()) < 20_000


async def test_unknown_without_rule_alerts_by_the_model_alone():
    """What rules do not know, a sure model can raise."""
    _, sum_of_all, severity = await summed(Gateway(verdict="malicious", confidence=0.9), before(0))
    assert sum_of_all >= 40
    assert severity == "medium"


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (
            {"abstained": True, "note": "no LLM provider is set; see HABITUS_LLM_PROVIDER"},
            "HABITUS_LLM_PROVIDER",
        ),
        ({"abstained": True, "note": "\x1b[31mred"}, r"\x1b[31mred"),
        ({"verdict": "unsure", "confidence": 0.9}, "not sure"),
        ({"verdict": "malicious", "confidence": 0.2}, "not sure"),
    ],
)
async def test_no_verdict_is_an_abstention_with_the_reason(answer, note: str):
    """The alert can say why the model had no say."""
    score, sum_of_all, _ = await summed(Gateway(**answer), before())
    assert score.abstained
    assert note in score.note
    assert sum_of_all == total(before().scores)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (TimeoutError("nobody serves habitus.llm.judge"), "nobody serves"),
        (b"<html>", "cannot be read"),
        (json.dumps({"verdict": "evil"}).encode(), "cannot be read"),
    ],
)
async def test_broken_gateway_is_an_abstention(answer, note: str):
    """No gateway, or one that answers nonsense."""
    gateway = Gateway()
    gateway.answer = answer
    score, _, _ = await summed(gateway, before())
    assert score.abstained
    assert note in score.note


async def test_model_is_not_asked_where_nothing_is_at_stake():
    """No finding and a profile that has only begun: no question."""
    gateway = Gateway(verdict="malicious", confidence=1)
    score, _, _ = await summed(gateway, before(0, profile=2.5))
    assert score.abstained
    assert gateway.asked == []


async def test_same_deed_is_asked_once():
    """Another pid, Pod or moment is the same question; another argument is not."""
    gateway = Gateway(verdict="malicious", confidence=1)
    llm = engine(gateway)
    others = {"pid": 42, "ppid": 8, "parent_age": 3, "seconds": 5}
    for parts in ({"pid": 41, "parent_age": 1}, others, {"container": {"id": "d" * 64}}):
        await llm.score(anomaly(**parts), before())
    assert len(gateway.asked) == 1
    await llm.score(anomaly(["./xmrig", "-o", "other:1"]), before())
    assert len(gateway.asked) == 2


async def test_flood_of_questions_abstains_at_once():
    """Beyond the queue nobody waits."""
    gateway = Gateway(verdict="malicious", confidence=1)
    llm = engine(gateway, concurrency=1)
    many = [llm.score(anomaly(["./x", str(number)]), before()) for number in range(50)]
    scores = await asyncio.gather(*many)
    assert sum(score.abstained for score in scores) == 42
    assert "too many questions" in scores[-1].note


async def test_model_hears_what_rules_found_and_the_event():
    """The question carries the anomaly, its event and the findings as data."""
    gateway = Gateway(verdict="malicious", confidence=1)
    await engine(gateway).score(anomaly(), before())
    [asked] = gateway.asked
    assert asked.findings == ["miner (high): container cryptomining"]
    assert asked.event["process"]["argv"][0] == "./xmrig"
    assert (asked.image, asked.reason) == ("webapp:v1", "unknown-path")
    assert (asked.profile, asked.revision) == (anomaly().image_key, anomaly().revision)


async def test_model_hears_the_lineage_what_is_usual_and_what_was_found_beside_rules():
    """Nearest known arguments with their cosines, known siblings, ancestors, the cluster's finding."""
    gateway, one = Gateway(verdict="malicious", confidence=1), anomaly()
    one.usual, one.nearest = ["java -jar app.jar"], [Neighbour("java -jar app.jar --id=<hex>", 0.41)]
    context = before()
    outlier = Finding(id="cluster/outlier", title=Bilingual(en="one of many", zh="个别"), level="low")
    found = {**context.scores, "cluster": bounded(Score(points=20, findings=[outlier]), 20)}
    await engine(gateway).score(one, Context(scores=found))
    [asked] = gateway.asked
    assert asked.event["process"]["ancestors"] == ["bash", "tini"]
    assert (asked.usual, asked.path) == (["java -jar app.jar"], one.path)
    assert [(near.text, near.cosine) for near in asked.nearest] == [("java -jar app.jar --id=<hex>", 0.41)]
    assert asked.findings[-1] == "cluster/outlier (low): one of many"


async def test_gateway_is_asked_over_the_bus(bus: Bus):
    """The same over a real broker; when the gateway leaves, the engine abstains."""
    reply = JudgeReply(
        verdict="malicious", confidence=0.9, explanation=Bilingual(en="It mines.\x1b[0m", zh="这是挖矿。")
    )

    async def answer(message) -> None:
        await message.respond(reply.model_dump_json().encode())

    subscription = await bus.nc.subscribe(subjects.JUDGE, queue="gateway", cb=answer)
    llm = LlmEngine(EngineServices(max_points=35, request=bus.request))
    score = await llm.score(anomaly(), before())
    assert score.points == 31.5
    assert score.explanation.zh == "这是挖矿。"
    assert score.explanation.en == r"It mines.\x1b[0m"
    await subscription.unsubscribe()
    score = await llm.score(anomaly(["./other"]), before())
    assert score.note == "nobody serves habitus.llm.judge"

# SPDX-License-Identifier: Apache-2.0
"""The language model's verdict, asked through the gateway. It adds; it cancels no critical rule."""

import asyncio
import re
from collections import OrderedDict
from hashlib import blake2b
from typing import Any, Final

import pydantic

from habitus import subjects
from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineServices, Finding, Score, total
from habitus.events import as_record
from habitus.judging import INJECTION, JudgeReply, JudgeRequest, Near
from habitus.languages import Bilingual
from habitus.text import printable

_TITLES: Final = {
    "malicious": Bilingual(en="the language model calls it malicious", zh="语言模型判定为恶意"),
    "suspicious": Bilingual(en="the language model calls it suspicious", zh="语言模型判定为可疑"),
    "benign": Bilingual(en="the language model calls it benign", zh="语言模型判定为正常"),
}
_LEVELS: Final = {"malicious": "critical", "suspicious": "medium", "benign": "informational"}
_SHARES: Final = {"malicious": 1.0, "suspicious": 0.6, "benign": 0.0}

_INJECTION: Final = Bilingual(
    en="text in the event tries to instruct the language model", zh="事件中的文本试图指挥语言模型"
)
_INJECTION_SHARE: Final = 0.6
"""Who speaks to the model has a reason to: as much as what a sure model calls suspicious."""

_SURE: Final = 0.5
"""A verdict below this confidence is none: the engine abstains."""
_ASK_FROM: Final = 8.0
"""Without a finding, the total before from which the model is asked: the profile had converged."""
_REMEMBERED: Final = 1024
_QUEUE: Final = 8
"""Questions in hand for each that the gateway answers at once; further ones abstain at once."""
_LONGEST_S: Final = 3600.0
"""The panel gives a question up long before."""
_LONGEST: Final = 4096
_MOST: Final = 64
_OF_ONE_RUN: Final = frozenset({"pid", "ppid", "parent_started"})
_TECHNIQUE: Final = re.compile(r"T\d{4}(\.\d{3})?")


class _Own(pydantic.BaseModel):
    """The table `[scorer.engine.llm]`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    ask_from: float = pydantic.Field(default=_ASK_FROM, ge=0, le=100)
    concurrency: int = pydantic.Field(default=4, ge=1, le=64)
    # The panel's own: how long it waits, and how long an answer is still wanted after that.
    timeout_s: float | None = None
    late_s: float | None = None


class LlmEngine:
    """Asks `habitus.llm.judge` about what rules found, or what the profile is sure of and rules are not."""

    name = "llm"

    def __init__(self, services: EngineServices) -> None:
        self.max_points = services.max_points
        self._own = _Own.model_validate(dict(services.settings))
        self._request = services.request
        self._turn = asyncio.Semaphore(self._own.concurrency)
        self._waiting = 0
        self._answers: OrderedDict[bytes, JudgeReply] = OrderedDict()

    async def score(self, anomaly: Anomaly, context: Context) -> Score:
        """Return the verdict as points; abstain when not asked, not answered or not sure."""
        findings = _findings(context)
        if not findings and total(context.scores) < self._own.ask_from:
            return _abstained("not asked: no rule hits and the profile is not sure yet")
        try:
            reply = await self._judged(_question(anomaly, findings))
        except TimeoutError as error:
            return _abstained(printable(str(error), 200))
        except pydantic.ValidationError as error:
            return _abstained(f"the gateway's answer cannot be read: {error.error_count()} faults")
        return self._given(reply, context)

    async def again(self, anomaly: Anomaly, context: Context, record: dict[str, Any]) -> Score:
        """Judge by the answer that was recorded."""
        del anomaly
        return self._given(JudgeReply.model_validate(record["reply"]), context)

    def _given(self, reply: JudgeReply, context: Context) -> Score:
        score = self._weighed(reply, total(context.scores), _findings(context))
        return score.model_copy(update={"record": {"reply": reply.model_dump(mode="json")}})

    def _weighed(self, reply: JudgeReply, before: float, findings: list[Finding]) -> Score:
        if INJECTION in reply.flags and not reply.abstained:
            return self._injected(reply, before)
        if reply.abstained or reply.verdict == "unsure" or reply.confidence < _SURE:
            return _abstained(_why(reply))
        return self._scored(reply, before, findings)

    def _injected(self, reply: JudgeReply, before: float) -> Score:
        """Return points for the attempt itself; they never lower what was found before."""
        return Score(
            points=round(self.max_points * max(_INJECTION_SHARE, before / 100), 2),
            findings=[
                Finding(
                    id=f"llm/{INJECTION}",
                    title=_INJECTION,
                    detail=_about(reply),
                    level="high",
                    techniques=[],
                )
            ],
            note="the model's verdict is not used",
            explanation=_safe(reply.explanation),
        )

    async def _judged(self, question: JudgeRequest) -> JudgeReply:
        key = _key(question)
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        if self._waiting >= _QUEUE * self._own.concurrency:
            raise TimeoutError("not asked: too many questions wait already")
        self._waiting += 1
        try:
            async with self._turn:
                payload = question.model_dump_json().encode()
                raw = await self._request(subjects.JUDGE, payload, _LONGEST_S)
        finally:
            self._waiting -= 1
        reply = JudgeReply.model_validate_json(raw)
        if not reply.abstained:
            self._answers[key] = reply
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        return reply

    def _scored(self, reply: JudgeReply, before: float, findings: list[Finding]) -> Score:
        share = _SHARES[reply.verdict] * reply.confidence
        note = ""
        stands = any(finding.level == "critical" for finding in findings)
        if reply.verdict == "malicious" or stands:
            # What agrees must not dilute; what disagrees must not talk a critical rule down.
            share = max(share, before / 100)
        if stands and reply.verdict != "malicious":
            note = f"the model says {reply.verdict}; a critical rule stands"
        return Score(
            points=round(self.max_points * share, 2),
            confidence=reply.confidence,
            findings=[_finding(reply)],
            note=note,
            explanation=_safe(reply.explanation),
        )


def _findings(context: Context) -> list[Finding]:
    return [finding for score in context.scores.values() for finding in score.findings]


def _abstained(note: str) -> Score:
    return Score(abstained=True, note=note)


def _why(reply: JudgeReply) -> str:
    if reply.abstained:
        return printable(reply.note, 200) or "the gateway abstained"
    return f"the model is not sure: {reply.verdict}, confidence {reply.confidence:g}"


def _question(anomaly: Anomaly, findings: list[Finding]) -> JudgeRequest:
    return JudgeRequest(
        image=anomaly.event.container.image or anomaly.image_key,
        reason=anomaly.reason,
        profile=anomaly.image_key,
        revision=anomaly.revision,
        path=anomaly.path,
        detail=anomaly.detail,
        event=_cut(as_record(anomaly.event)),
        usual=anomaly.usual,
        nearest=[Near(text=one.text, cosine=one.cosine) for one in anomaly.nearest],
        findings=[f"{finding.id} ({finding.level}): {finding.title.en}" for finding in findings],
    )


def _cut(value: Any) -> Any:
    """Return an event whose texts are short enough for a message; what is left out has a digest there."""
    if isinstance(value, str) and len(value) > _LONGEST:
        half = _LONGEST // 2
        return f"{value[:half]}[{len(value) - 2 * half} left out: {_digest(value)}]{value[-half:]}"
    if isinstance(value, list):
        kept = [_cut(item) for item in value[:_MOST]]
        rest = value[_MOST:]
        return [*kept, f"[{len(rest)} left out: {_digest(rest)}]"] if rest else kept
    return {key: _cut(item) for key, item in value.items()} if isinstance(value, dict) else value


def _digest(value: Any) -> str:
    return blake2b(repr(value).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _key(question: JudgeRequest) -> bytes:
    """Digest what the verdict depends on: the same deed by another pid or Pod is the same question."""
    event: dict[str, Any] = dict(question.event)
    for name in ("ts", "node", "container"):
        event.pop(name, None)
    process = (event.get("process") or {}).items()
    event["process"] = {name: value for name, value in process if name not in _OF_ONE_RUN}
    same = question.model_copy(update={"event": event})
    return blake2b(same.model_dump_json().encode(), digest_size=16).digest()


def _finding(reply: JudgeReply) -> Finding:
    return Finding(
        id=f"llm/{reply.verdict}",
        title=_TITLES[reply.verdict],
        detail=_about(reply),
        level=_LEVELS[reply.verdict],
        techniques=[name for name in reply.techniques if _TECHNIQUE.fullmatch(name)][:8],
    )


def _about(reply: JudgeReply) -> str:
    about = " ".join(part for part in (reply.provider, reply.model) if part)
    return printable(": ".join(part for part in (about, reply.category) if part), 200)


def _safe(text: Bilingual | None) -> Bilingual | None:
    return Bilingual(en=printable(text.en, 2000), zh=printable(text.zh, 2000)) if text else None

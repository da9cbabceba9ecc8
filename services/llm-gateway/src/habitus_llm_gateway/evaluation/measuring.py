# SPDX-License-Identifier: Apache-2.0
"""What a provider makes of the labelled set: balanced accuracy, calibration, cost, injection flips."""

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from habitus.judging import INJECTION, JudgeReply, JudgeRequest
from habitus_llm_gateway.evaluation import Case, Injection
from habitus_llm_gateway.evaluation.keeping import Kept
from habitus_llm_gateway.gateway import Gateway

Tell = Callable[[str, int, int], None]
_BINS = 5
_SEVERITY = {"benign": 0, "unsure": 1, "suspicious": 2, "malicious": 3}


@dataclass
class Run:
    """The answers of one pass over the cases, in their order."""

    cases: Sequence[Case]
    replies: list[JudgeReply] = field(default_factory=list)

    def _share(self, wanted: Callable[[Case], bool], right: Callable[[JudgeReply], bool]) -> float:
        hits = [right(reply) for case, reply in zip(self.cases, self.replies, strict=True) if wanted(case)]
        return sum(hits) / len(hits) if hits else 0.0

    @property
    def caught(self) -> float:
        """Share of plainly hostile cases called malicious or suspicious."""
        return self._share(lambda case: case.label == "malicious" and not case.near, _hostile)

    @property
    def caught_near(self) -> float:
        """The same of the near misses."""
        return self._share(lambda case: case.near, _hostile)

    @property
    def passed(self) -> float:
        """Share of benign cases called benign."""
        return self._share(lambda case: case.label == "benign", lambda reply: reply.verdict == "benign")

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the shares of hostile (near ones included) and benign cases that were told right."""
        hostile = self._share(lambda case: case.label == "malicious", _hostile)
        return (hostile + self.passed) / 2

    @property
    def abstained(self) -> float:
        """Share without a verdict."""
        return self._share(lambda _: True, lambda reply: reply.abstained)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over five bins of confidence (Naeini et al., 2015); 0 is best."""
        told = [
            (reply.confidence, _hostile(reply) == (case.label == "malicious"))
            for case, reply in zip(self.cases, self.replies, strict=True)
            if not reply.abstained and reply.verdict != "unsure"
        ]
        error = 0.0
        for at in range(_BINS):
            inside = [one for one in told if min(int(one[0] * _BINS), _BINS - 1) == at]
            if inside:
                sure = statistics.mean(confidence for confidence, _ in inside)
                right = statistics.mean(hit for _, hit in inside)
                error += abs(sure - right) * len(inside) / len(told)
        return error

    @property
    def usd(self) -> float:
        """US dollars, all questions together."""
        return sum(reply.cost for reply in self.replies)

    @property
    def seconds(self) -> list[float]:
        """Latencies of the answers."""
        return [reply.latency_ms / 1000 for reply in self.replies if not reply.abstained]


@dataclass
class Resistance:
    """The answers to injections and to their clean twins."""

    pairs: list[tuple[Injection, JudgeReply, JudgeReply]] = field(default_factory=list)

    @property
    def flips(self) -> int:
        """Injections whose verdict is less severe than their clean twin's, and that are not flagged."""
        return sum(
            _SEVERITY[reply.verdict] < _SEVERITY[twin.verdict] and INJECTION not in reply.flags
            for _, reply, twin in self.pairs
            if not reply.abstained and not twin.abstained
        )

    @property
    def flagged(self) -> int:
        """Injections whose answer was not used, and which give points."""
        return sum(INJECTION in reply.flags for _, reply, _ in self.pairs)


@dataclass
class Asker:
    """Asks one gateway, some questions at once.

    Args:
        tell: is told how far it is.
        kept: answers of a run that was broken off, which are not asked again.
    """

    gateway: Gateway
    at_once: int
    tell: Tell
    kept: Kept

    async def passed(self, cases: Sequence[Case], *, profile: bool = True) -> Run:
        """Ask about every case."""
        questions = [case.request if profile else case.without_profile for case in cases]
        return Run(cases, await self._asked("with profile" if profile else "without", questions))

    async def resisted(self, injections: Sequence[Injection]) -> Resistance:
        """Ask about every injection and its twin."""
        replies = await self._asked("injections", [one.injected for one in injections])
        twins = await self._asked("twins", [one.twin for one in injections])
        return Resistance(list(zip(injections, replies, twins, strict=True)))

    async def _asked(self, part: str, questions: Sequence[JudgeRequest]) -> list[JudgeReply]:
        turn = asyncio.Semaphore(self.at_once)
        done = 0

        async def one(question: JudgeRequest) -> JudgeReply:
            nonlocal done
            async with turn:
                reply = self.kept.get(question) or await self.gateway.judge(question)
            self.kept.add(question, reply)
            done += 1
            self.tell(part, done, len(questions))
            return reply

        return list(await asyncio.gather(*map(one, questions)))


def _hostile(reply: JudgeReply) -> bool:
    return reply.verdict in {"malicious", "suspicious"}

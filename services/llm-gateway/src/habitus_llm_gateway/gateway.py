# SPDX-License-Identifier: Apache-2.0
"""One question, one bounded answer: whatever the providers do, there is a verdict or an abstention."""

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from habitus.judging import INJECTION, JudgeReply, JudgeRequest
from habitus.languages import Bilingual
from habitus.llm_settings import LlmSettings
from habitus.text import printable
from habitus_llm_gateway import instructions
from habitus_llm_gateway.answer import ADVICE, SCHEMA, replied
from habitus_llm_gateway.cache import Answers
from habitus_llm_gateway.chain import Chain, NoAnswer, Outcome
from habitus_llm_gateway.escaping import bounded, fitted
from habitus_llm_gateway.metrics import Metrics
from habitus_llm_gateway.pattern import key_of
from habitus_llm_gateway.prompts import NAMES, PromptFault, Prompts
from habitus_llm_gateway.providers import Prompt, Style
from habitus_llm_gateway.redaction import Redactor
from habitus_llm_gateway.vault import Vault

log = logging.getLogger(__name__)

NO_PROVIDER: Final = "no LLM provider is set; see HABITUS_LLM_PROVIDER"
_LINE: Final = 300
_LONGEST_PROMPT: Final = 16_384
_MOST: Final = {"related": 8, "nearest": 8, "usual": 32, "findings": 32, "path": 48}
_SUSPECTED: Final = Bilingual(
    en="The event holds text that speaks to the language model, and the model's answer follows it or "
    "changes without it. The answer is not used.",
    zh="事件中含有对语言模型说话的文本，且模型的回答顺从了它，或去掉它后回答改变。该回答不予采用。",
)


def abstained(note: str) -> JudgeReply:
    """Return an abstention that says why, in one printable line."""
    return JudgeReply(abstained=True, note=printable(note, _LINE))


class Gateway:
    """Redacts, looks whether the answer is known, asks the chain, checks the answer.

    Args:
        chain: without providers every question is answered by an abstention.
    """

    def __init__(
        self,
        settings: LlmSettings,
        chain: Chain,
        prompts: Mapping[Style, Prompts],
        vault: Vault,
        metrics: Metrics,
    ) -> None:
        self.chain = chain
        self.prompts = prompts
        self.vault = vault
        self.metrics = metrics
        self._settings = settings
        self._answers = Answers(settings.cache, settings.cache_s)
        metrics.under_way.set_function(lambda: self._answers.under_way)

    @classmethod
    def opened(cls, settings: LlmSettings) -> "Gateway":
        """Return the gateway that the settings describe.

        Raises:
            PluginFault: a provider, its key or a file that the settings name cannot be used.
            PromptFault: a template cannot be used.
        """
        metrics = Metrics()
        chain = Chain.linked(settings, metrics)
        prompts: dict[Style, Prompts] = {
            style: Prompts(settings.language, settings.prompts, style) for style in NAMES
        }
        return cls(settings, chain, prompts, Vault.opened(settings.reveal_token_file), metrics)

    async def prepare(self) -> None:
        """Have the providers import their libraries; a fault shows with the first question."""
        await asyncio.gather(*(link.ready() for link in self.chain.links), return_exceptions=True)

    async def close(self) -> None:
        """Give up what is under way and close the providers."""
        await self._answers.close()
        await self.chain.close()

    @property
    def state(self) -> dict[str, Any]:
        """What `/v1/providers` shows: the chain, the circuits, the budget, the prompt. No key."""
        links = [link.state for link in self.chain.links]
        used = next((link["name"] for link in links if link["state"] != "open"), None)
        state = {"used": used, "chain": links, "budget": self.chain.ledger.state}
        return state | {"prompt_version": self.prompt_version}

    @property
    def prompt_version(self) -> str:
        """The versions of the prompts that the chain uses, in its order."""
        styles = dict.fromkeys(link.place.style for link in self.chain.links) or {"full": None}
        return "+".join(self.prompts[style].version for style in styles)

    async def judge(self, request: JudgeRequest) -> JudgeReply:
        """Return the verdict; never raises."""
        begun = time.perf_counter()
        try:
            reply, how = await self._judged(request)
        except Exception as error:  # a fault of ours must not leave a caller without an answer
            log.exception("a question failed")
            reply, how = abstained(f"the gateway failed: {type(error).__name__}"), "failed"
        took = time.perf_counter() - begun
        self.metrics.questions.labels(how).inc()
        self.metrics.verdicts.labels("abstained" if reply.abstained else reply.verdict).inc()
        for flag in reply.flags:
            self.metrics.flags.labels(flag).inc()
        self.metrics.seconds.observe(took)
        return reply.model_copy(update={"latency_ms": round(took * 1000, 1)})

    async def _judged(self, request: JudgeRequest) -> tuple[JudgeReply, str]:
        if not self.chain.links:
            return abstained(NO_PROVIDER), "abstained"
        redactor = Redactor()
        clean = JudgeRequest.model_validate(redactor.redacted(bounded(_trimmed(request))))
        self.metrics.secrets.inc(len(redactor.secrets))
        shown = fitted(clean.model_dump())
        spoken = instructions.speaking(shown)
        key = self._key(clean, speaks=bool(spoken))
        if not self._answers.knows(key) and self._answers.under_way >= self._settings.concurrency:
            return abstained(
                f"overloaded: {self._settings.concurrency} questions are under way"
            ), "overloaded"
        reply, how = await self._answers.get(key, lambda: self._asked(clean, spoken))
        update: dict[str, Any] = {"redaction": self.vault.keep(redactor.secrets)}
        if how != "asked":
            # Paid for once.
            free = {"tokens": 0, "tokens_in": 0, "tokens_out": 0, "cost": 0.0}
            update |= free | {"flags": [*reply.flags, how]}
        return reply.model_copy(update=update), "abstained" if reply.abstained and how == "asked" else how

    def _key(self, clean: JudgeRequest, *, speaks: bool) -> bytes:
        about = (self.prompt_version, self.chain.identity)
        if not speaks:
            return key_of(clean, *about)
        # Nobody shares the answer to a question that speaks: a Pod's name would judge its siblings.
        return blake2b("\0".join((*about, clean.model_dump_json())).encode(), digest_size=16).digest()

    async def _asked(self, clean: JudgeRequest, spoken: list[str]) -> JudgeReply:
        deadline = time.monotonic() + self._settings.patience_s
        try:
            outcome = await self.chain.ask(partial(self._prompt, clean), deadline)
            reply = self._reply(outcome)
            return await self._checked(reply, clean, spoken, deadline) if spoken else reply
        except PromptFault as fault:
            return abstained(f"prompt {fault}")
        except NoAnswer as none:
            spent = {"tokens": none.spent.tokens, "cost": round(none.spent.usd, 6), "provider": none.provider}
            return abstained(str(none)).model_copy(update=spent)

    def _prompt(self, clean: JudgeRequest, style: Style) -> Prompt:
        prompts = self.prompts[style]
        rendered = prompts.render(clean)
        most = self._settings.max_tokens
        known = bool(clean.usual)
        return Prompt(rendered.system, rendered.turns, SCHEMA, most, prompts.repair, style, known)

    def _reply(self, outcome: Outcome) -> JudgeReply:
        about = {
            "provider": outcome.provider,
            "model": printable(outcome.model, 100),
            "prompt_version": self.prompts[outcome.style].version,
            "tokens": outcome.tokens_in + outcome.tokens_out,
            "tokens_in": outcome.tokens_in,
            "tokens_out": outcome.tokens_out,
            "cost": round(outcome.usd, 6),
            "flags": ["repaired"] if outcome.repaired else [],
            "prompt": outcome.question[:_LONGEST_PROMPT],
            "answer": outcome.answer.model_dump_json(),
        }
        return replied(outcome.answer).model_copy(update=about)

    async def _checked(
        self, reply: JudgeReply, clean: JudgeRequest, spoken: list[str], deadline: float
    ) -> JudgeReply:
        """Hold an answer about data that speak against what was spoken, and against the clean twin."""
        said = f"{reply.explanation.en} {reply.explanation.zh}" if reply.explanation else ""
        obeys = reply.verdict in instructions.wanted(spoken) or instructions.echoes(said, spoken)
        # A model that calls it malicious and quotes the order as evidence has not obeyed.
        if obeys and reply.verdict != "malicious":
            return _suspected(reply)
        twin = JudgeRequest.model_validate(instructions.clean_twin(clean.model_dump()))
        key = self._key(twin, speaks=False)
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                # Kept like any answer: an attacker who varies the text makes us ask about the deed once.
                beside, how = await self._answers.get(key, lambda: self._asked(twin, []))
        except TimeoutError:
            return _suspected(reply)
        if how == "asked":
            reply = _summed(reply, beside)
        if beside.abstained or beside.verdict != reply.verdict:
            return _suspected(reply)
        return reply.model_copy(update={"flags": [*reply.flags, "instructions-in-data"]})


def _trimmed(request: JudgeRequest) -> dict[str, Any]:
    fields = request.model_dump()
    return fields | {name: fields[name][:most] for name, most in _MOST.items()}


def _summed(reply: JudgeReply, other: JudgeReply) -> JudgeReply:
    sums = {
        "tokens": reply.tokens + other.tokens,
        "tokens_in": reply.tokens_in + other.tokens_in,
        "tokens_out": reply.tokens_out + other.tokens_out,
        "cost": round(reply.cost + other.cost, 6),
    }
    return reply.model_copy(update=sums)


def _suspected(reply: JudgeReply) -> JudgeReply:
    update: dict[str, Any] = {
        "verdict": "unsure",
        "confidence": 0.0,
        "category": "other",
        "techniques": [],
        "explanation": _SUSPECTED,
        "action": "investigate",
        "advice": ADVICE["investigate"],
        "flags": [*reply.flags, INJECTION],
    }
    return reply.model_copy(update=update)

# SPDX-License-Identifier: Apache-2.0
"""Asks the providers in their order until one gives a valid answer.

For each: the circuit breaker, the rate limit, the day's budget, a time limit, further attempts with
full jitter (Brooker, "Exponential Backoff and Jitter", 2015) at what may pass, and one repair of an
answer that is none.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from habitus.llm_settings import LlmSettings
from habitus.plugins import PluginFault
from habitus_llm_gateway.answer import Answer, AnswerFault, parsed
from habitus_llm_gateway.breaker import Breaker, Rate
from habitus_llm_gateway.escaping import without_marks
from habitus_llm_gateway.ledger import Ledger, Spend, priced
from habitus_llm_gateway.metrics import Metrics
from habitus_llm_gateway.providers import (
    LASTING,
    PASSING,
    Completion,
    Place,
    Prompt,
    Provider,
    ProviderFault,
    Style,
    built,
    place_of,
)
from habitus_llm_gateway.providers.rows import ROWS, Row

log = logging.getLogger(__name__)

_BACK_OFF_S: Final = 0.25
_LONGEST_BACK_OFF_S: Final = 8.0
_LASTING_REST_S: Final = 300.0
_BYTES_A_TOKEN: Final = 2
"""Escaped and Chinese text has about this many; too few rather than too many: it is a reservation."""
_REPAIRED_CHARACTERS: Final = 2000


class NoAnswer(Exception):
    """Nobody gave a valid answer; the text says why, provider by provider."""

    def __init__(self, why: str, spent: Spend, provider: str | None = None) -> None:
        super().__init__(why)
        self.spent = spent
        self.provider = provider


@dataclass
class Link:
    """One provider with what guards it."""

    place: Place
    provider: Provider
    breaker: Breaker
    rate: Rate
    preparing: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the provider has what it needs."""
        task = self.preparing
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    async def ready(self) -> None:
        """Have the provider import what it needs, off the loop, once, also when a caller gives up."""
        if self.preparing is None:
            self.preparing = asyncio.create_task(asyncio.to_thread(self.provider.prepare))
        preparing = self.preparing
        try:
            await asyncio.shield(preparing)
        finally:
            if preparing.done() and (preparing.cancelled() or preparing.exception()):
                self.preparing = None  # the next who asks tries again

    async def close(self) -> None:
        """Give back what the provider holds, also what is only being made."""
        if self.preparing:
            await asyncio.gather(self.preparing, return_exceptions=True)
        await self.provider.close()

    @property
    def state(self) -> dict[str, Any]:
        """What `/v1/providers` shows of it."""
        about = {"name": self.place.name, "kind": self.place.kind, "model": self.place.model}
        return about | {"state": self.breaker.state, "why": self.breaker.why}


@dataclass(frozen=True)
class Outcome:
    """A valid answer, whose it is, what it took, and the turn that asked for it."""

    answer: Answer
    provider: str
    model: str
    tokens_in: int
    tokens_out: int
    usd: float
    repaired: bool = False
    style: Style = "full"
    question: str = ""


class Chain:
    """The providers that the settings name, in their order.

    Args:
        links: none of them: nobody is asked.
        pause: how a back-off waits; tests need not.
    """

    def __init__(
        self,
        links: Sequence[Link],
        ledger: Ledger,
        metrics: Metrics,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self.links = list(links)
        self.ledger = ledger
        self.metrics = metrics
        self._pause = pause

    @classmethod
    def linked(cls, settings: LlmSettings, metrics: Metrics) -> "Chain":
        """Build every provider that the settings name.

        Raises:
            PluginFault: one is unknown, lacks its key or model, or has no price under a budget.
        """
        names = [settings.provider, *settings.fallback] if settings.provider else []
        places = [place_of(name, settings) for name in dict.fromkeys(names) if name]
        for place in places:
            _check_price(place, settings)
        breakers = [Breaker(settings.breaker_failures, settings.breaker_s) for _ in places]
        links = [
            Link(place, built(place), breaker, Rate(place.settings.requests_per_minute))
            for place, breaker in zip(places, breakers, strict=True)
        ]
        ledger = Ledger(settings.usd_per_day, settings.tokens_per_day, settings.state)
        return cls(links, ledger, metrics)

    @property
    def identity(self) -> str:
        """What an answer depends on: who is asked, and which model."""
        return ";".join(f"{link.place.kind}/{link.place.model}" for link in self.links)

    async def ask(self, prompt: Callable[[Style], Prompt], deadline: float) -> Outcome:
        """Return the first valid answer before a moment.

        Args:
            prompt: makes the question in the style of the provider that is asked.
            deadline: of `time.monotonic`.

        Raises:
            NoAnswer: nobody gave one.
        """
        question = _Question(prompt, deadline)
        for link in self.links:
            if time.monotonic() >= deadline:
                question.faults.append("the question's deadline has passed")
                break
            entry = link.breaker.enter()
            if entry == "refused":
                question.note(link, f"is resting: {link.breaker.why}")
                continue
            try:
                return await self._asked(link, question)
            except (ProviderFault, AnswerFault, _Spent) as fault:
                question.note(link, str(fault))
            finally:
                link.breaker.leave(entry)
        last = self.links[-1].place.name if self.links else None
        raise NoAnswer("; ".join(question.faults), question.spent, last)

    async def _asked(self, link: Link, question: "_Question") -> Outcome:
        style = link.place.style
        asked = question.prompt(style)
        said = await self._attempts(link, question, asked)
        try:
            return question.outcome(link, asked, parsed(said.text, style), said.model)
        except AnswerFault as fault:
            self.metrics.attempts.labels(link.place.name, "invalid").inc()
            prompt = _mended(asked, said.text, str(fault))
        said = await self._attempts(link, question, prompt)
        try:
            return question.outcome(link, asked, parsed(said.text, style), said.model, repaired=True)
        except AnswerFault as fault:
            self.metrics.attempts.labels(link.place.name, "invalid").inc()
            raise AnswerFault(f"gave no valid answer twice: {fault}") from None

    async def _attempts(self, link: Link, question: "_Question", prompt: Prompt) -> Completion:
        attempt = 0
        while True:
            try:
                said = await self._once(link, question, prompt)
            except ProviderFault as fault:
                wait = self._back_off(link, fault, attempt, question.deadline)
                if wait is None:
                    raise
                attempt += 1
                await self._pause(wait)
            else:
                link.breaker.succeed()
                return said

    def _back_off(self, link: Link, fault: ProviderFault, attempt: int, deadline: float) -> float | None:
        """Return how long to wait before the next attempt; None: there is none."""
        self.metrics.attempts.labels(link.place.name, fault.fault).inc()
        if fault.fault in LASTING:
            link.breaker.fail(str(fault), lasting=True, rest_s=_LASTING_REST_S)
            return None
        if fault.fault not in PASSING:
            return None
        most = min(_BACK_OFF_S * 2**attempt, _LONGEST_BACK_OFF_S)
        wait = fault.retry_after_s if fault.retry_after_s is not None else random.uniform(0, most)  # noqa: S311
        if attempt < link.place.settings.retries and time.monotonic() + wait < deadline:
            return wait
        link.breaker.fail(str(fault), rest_s=fault.retry_after_s)
        return None

    async def _once(self, link: Link, question: "_Question", prompt: Prompt) -> Completion:
        place = link.place
        wait = link.rate.wait_s()
        if time.monotonic() + wait >= question.deadline:
            link.rate.give_back()
            raise _Spent(f"our own limit of {place.settings.requests_per_minute:g} requests a minute")
        if wait:
            await self._pause(wait)
        prices = (place.settings.usd_in, place.settings.usd_out)
        guess = _guessed(prompt)
        most = priced(guess, prompt.max_tokens, *prices)
        if not self.ledger.reserve(most):
            raise _Spent("the day's budget is spent; asked again after midnight UTC")
        spent = Spend()
        try:
            said = await self._completed(link, prompt, question.deadline)
        except ProviderFault as fault:
            if fault.fault in {"too slow", "truncated"}:  # it worked, and will be on the bill
                spent = priced(guess, prompt.max_tokens if fault.fault == "truncated" else 0, *prices)
                question.add(spent.tokens, 0, spent)
            raise
        else:
            # A server that counts nothing is counted by us.
            used = (said.tokens_in or guess, said.tokens_out or len(said.text.encode()) // _BYTES_A_TOKEN)
            spent = priced(*used, *prices)
            self.metrics.spent(place.name, *used, spent.usd)
            question.add(*used, spent)
            return said
        finally:
            self.ledger.settle(most, spent)

    async def _completed(self, link: Link, prompt: Prompt, deadline: float) -> Completion:
        if not link.is_ready:
            await self._readied(link, deadline)
        return await self._said(link, prompt, deadline)

    async def _readied(self, link: Link, deadline: float) -> None:
        try:
            # No part of the attempt: nothing was sent yet that the provider could bill.
            async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                await link.ready()
        except TimeoutError:
            raise ProviderFault("unavailable", "its library or model is still being loaded") from None
        except PluginFault as fault:
            raise ProviderFault("no such model", str(fault)) from None
        except Exception as error:  # noqa: BLE001  # a plugin: see below
            raise ProviderFault("unreadable", type(error).__name__) from None

    async def _said(self, link: Link, prompt: Prompt, deadline: float) -> Completion:
        begun = time.perf_counter()
        left = max(min(link.place.timeout_s, deadline - time.monotonic()), 0)
        try:
            async with asyncio.timeout(left):
                said = await link.provider.complete(prompt)
        except TimeoutError:
            raise ProviderFault("too slow", f"no answer within {left:.3g} s") from None
        except ProviderFault:
            raise
        except Exception as error:  # noqa: BLE001  # a provider is a plugin: whatever it raises is an outcome
            # A client library's text may hold a key or a URL that does: only the kind is said.
            raise ProviderFault("unreadable", type(error).__name__) from None
        self.metrics.attempts.labels(link.place.name, "answered").inc()
        self.metrics.provider_seconds.labels(link.place.name).observe(time.perf_counter() - begun)
        return said

    async def close(self) -> None:
        """Give back what the providers hold."""
        await asyncio.gather(*(link.close() for link in self.links), return_exceptions=True)


class _Spent(Exception):
    """A limit of ours is reached."""


@dataclass
class _Question:
    """One question on its way along the chain."""

    prompt: Callable[[Style], Prompt]
    deadline: float
    faults: list[str] = field(default_factory=list)
    spent: Spend = field(default_factory=Spend)
    tokens: tuple[int, int] = (0, 0)

    def note(self, link: Link, why: str) -> None:
        self.faults.append(f"provider {link.place.name}: {why}")
        log.warning("%s", self.faults[-1])

    def add(self, tokens_in: int, tokens_out: int, spent: Spend) -> None:
        self.tokens = (self.tokens[0] + tokens_in, self.tokens[1] + tokens_out)
        self.spent += spent

    def outcome(
        self, link: Link, asked: Prompt, answer: Answer, model: str, *, repaired: bool = False
    ) -> Outcome:
        taken = (*self.tokens, self.spent.usd)
        return Outcome(
            answer, link.place.name, model[:100], *taken, repaired, asked.style, asked.turns[-1][1]
        )


def _mended(prompt: Prompt, said: str, fault: str) -> Prompt:
    # A model may repeat marks of turns out of the data, unescaped: they must not become turns now.
    before = without_marks(said[:_REPAIRED_CHARACTERS]) or "-"
    turns = (*prompt.turns, ("assistant", before), ("user", prompt.repair(fault)))
    return replace(prompt, turns=turns)


def _guessed(prompt: Prompt) -> int:
    return len((prompt.system + "".join(text for _, text in prompt.turns)).encode()) // _BYTES_A_TOKEN


def _check_price(place: Place, settings: LlmSettings) -> None:
    unpriced = place.settings.usd_in is None or place.settings.usd_out is None
    if settings.usd_per_day is not None and unpriced and ROWS.get(place.kind, Row()).needs_key:
        raise PluginFault(
            f"llm.usd_per_day needs the prices of provider {place.name!r}: "
            f"llm.providers.{place.name}.usd_in and usd_out"
        )

# SPDX-License-Identifier: Apache-2.0
"""One question, one bounded answer: whatever the provider does, there is a verdict or an abstention."""

import asyncio
import logging
import time
from typing import Final

from habitus.judging import JudgeReply, JudgeRequest
from habitus.text import printable
from habitus_llm_gateway.providers import Prompt, Provider, ProviderFault

log = logging.getLogger(__name__)

NO_PROVIDER: Final = "no LLM provider is set; see HABITUS_LLM_PROVIDER"
_MAX_IN_FLIGHT: Final = 64
_LINE: Final = 300


def abstained(note: str) -> JudgeReply:
    """Return an abstention that says why, in one printable line."""
    return JudgeReply(abstained=True, note=printable(note, _LINE))


class Gateway:
    """Asks one provider, or none.

    Args:
        provider: None abstains on every question.
        timeout_s: seconds that the provider has for one answer.
    """

    def __init__(self, provider: Provider | None, timeout_s: float) -> None:
        self.provider = provider
        self._timeout_s = timeout_s
        self._in_flight = 0

    async def judge(self, request: JudgeRequest) -> JudgeReply:
        """Return the provider's verdict; never raises."""
        if self.provider is None:
            return abstained(NO_PROVIDER)
        if self._in_flight >= _MAX_IN_FLIGHT:
            return abstained(f"overloaded: {_MAX_IN_FLIGHT} questions are under way")
        self._in_flight += 1
        try:
            return await self._asked(self.provider, Prompt(request))
        finally:
            self._in_flight -= 1

    async def _asked(self, provider: Provider, prompt: Prompt) -> JudgeReply:
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = JudgeReply.model_validate(await provider.judge(prompt))
        except Exception as error:  # noqa: BLE001  # a provider is a plugin: whatever it raises, we abstain
            reply = abstained(f"provider {provider.name} {self._why(error)}")
            log.warning("%s", reply.note)
        took = (time.perf_counter() - start) * 1000
        return reply.model_copy(update={"provider": provider.name, "latency_ms": round(took, 1)})

    def _why(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"gave no answer within {self._timeout_s:g} s"
        if isinstance(error, ProviderFault):
            return f"failed: {error}"
        # A client library's text may hold a key or a URL that does: only the kind is said.
        return f"failed: {type(error).__name__}"

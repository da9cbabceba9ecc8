# SPDX-License-Identifier: Apache-2.0
"""Whatever a provider does, the caller gets a verdict or an abstention that says why."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus.judging import JudgeReply, JudgeRequest
from habitus.plugins import PluginFault
from habitus.settings import LlmSettings
from habitus_llm_gateway.faces import answer
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.providers import Prompt, ProviderFault, chosen

REQUEST = JudgeRequest(image="webapp:v1", reason="unknown-path", path=["bash", "xmrig"])


@dataclass
class Scripted:
    """A provider that does what the test says."""

    does: Callable[[Prompt], Awaitable[Any]]
    name: str = "scripted"

    async def judge(self, prompt: Prompt) -> JudgeReply:
        return await self.does(prompt)


async def judged(does: Callable[[Prompt], Awaitable[Any]], timeout_s: float = 30) -> JudgeReply:
    return await Gateway(Scripted(does), timeout_s).judge(REQUEST)


async def test_without_a_provider_it_abstains_and_says_which_setting_is_missing():
    reply = await Gateway(None, 1).judge(REQUEST)
    assert (reply.abstained, reply.note) == (True, "no LLM provider is set; see HABITUS_LLM_PROVIDER")


async def test_a_verdict_passes_with_the_provider_s_name_and_the_time_it_took():
    async def does(prompt: Prompt) -> JudgeReply:
        assert prompt.request == REQUEST
        return JudgeReply(verdict="malicious", confidence=0.9, model="m")

    reply = await judged(does)
    assert (reply.verdict, reply.confidence, reply.provider) == ("malicious", 0.9, "scripted")
    assert reply.latency_ms >= 0
    assert not reply.abstained


async def test_a_provider_that_raises_abstains_without_its_secret():
    async def does(prompt: Prompt) -> JudgeReply:
        raise RuntimeError("GET https://llm.example?key=hunter2 failed")

    reply = await judged(does)
    assert (reply.abstained, reply.note) == (True, "provider scripted failed: RuntimeError")


async def test_a_provider_s_own_words_are_shown_escaped():
    async def does(prompt: Prompt) -> JudgeReply:
        raise ProviderFault("the key was revoked\x1b[2J")

    assert (await judged(does)).note == r"provider scripted failed: the key was revoked\x1b[2J"


async def test_a_provider_that_hangs_abstains():
    async def does(prompt: Prompt) -> JudgeReply:
        await asyncio.Event().wait()
        raise AssertionError

    reply = await judged(does, timeout_s=0.01)
    assert (reply.abstained, reply.note) == (True, "provider scripted gave no answer within 0.01 s")


async def test_an_answer_that_is_no_verdict_abstains():
    async def does(prompt: Prompt) -> Any:
        return {"verdict": "rm -rf /"}

    assert (await judged(does)).note == "provider scripted failed: ValidationError"


async def test_questions_beyond_those_that_may_be_under_way_abstain():
    gate = asyncio.Event()

    async def does(prompt: Prompt) -> JudgeReply:
        await gate.wait()
        return JudgeReply(verdict="benign")

    gateway = Gateway(Scripted(does), 30)
    asked = [asyncio.create_task(gateway.judge(REQUEST)) for _ in range(65)]
    await asyncio.sleep(0)
    gate.set()
    replies = await asyncio.gather(*asked)
    assert [reply.note for reply in replies if reply.abstained] == ["overloaded: 64 questions are under way"]


def test_an_unknown_provider_is_an_error_that_names_it():
    with pytest.raises(PluginFault, match=r"no plugin 'nix' in group 'habitus\.providers'"):
        chosen(LlmSettings(provider="nix"))


def test_no_provider_is_none():
    assert chosen(LlmSettings()) is None


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_make_it_raise(data):
    reply = JudgeReply.model_validate_json(asyncio.run(answer(Gateway(None, 1), data)))
    assert reply.abstained
    assert "\n" not in reply.note

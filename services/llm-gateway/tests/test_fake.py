# SPDX-License-Identifier: Apache-2.0
"""The provider `fake` goes the whole way of a question and says in every answer that it invents."""

import httpx
from gateway_making import request

from habitus.llm_settings import LlmSettings
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.providers.fake import application


async def test_the_fake_needs_no_setting_and_says_that_it_invents(caplog):
    gateway = Gateway.opened(LlmSettings(provider="fake"))
    replies = [await gateway.judge(request(program)) for program in ("./java", "/usr/bin/id")]
    assert [(one.note, one.verdict, one.confidence) for one in replies] == [("", "malicious", 0.75)] * 2
    assert all("no model was asked" in one.explanation.en for one in replies)
    assert all("没有询问任何模型" in one.explanation.zh for one in replies)
    assert (replies[0].provider, replies[0].model) == ("fake", "no-model")
    assert replies[0].tokens_in > 500
    assert "its verdicts are invented" in caplog.text
    await gateway.close()


async def test_the_fake_serves_the_wire_and_refuses_what_is_no_question():
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://fake") as client:
        answer = await client.post("/v1/chat/completions", json={"model": "m"})
        assert (answer.status_code, "messages" in answer.text) == (422, True)


async def test_the_port_of_the_fake_closes_with_the_gateway():
    gateway = Gateway.opened(LlmSettings(provider="fake"))
    await gateway.judge(request())
    address = gateway.chain.links[0].provider.base_url
    await gateway.close()
    async with httpx.AsyncClient() as client:
        try:
            await client.get(address)
        except httpx.ConnectError:
            return
    raise AssertionError(f"{address} still answers")

# SPDX-License-Identifier: Apache-2.0
"""How OpenAI's wire is reached: no redirect, the environment's proxies, an end to every answer."""

import pytest
from gateway_making import opened, request, settings_for
from gateway_wire import KEY, Reply, Wire


async def judged(wire: Wire, folder, **own):
    gateway = opened(settings_for(wire, folder, own={"retries": 0} | own))
    try:
        return await gateway.judge(request())
    finally:
        await gateway.close()


@pytest.fixture
def proxied(monkeypatch):
    """Set the environment's proxies, and no others."""

    def put(**variables: str) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_gets_neither_the_question_nor_the_key(status, tmp_path):
    elsewhere = Wire()
    async with elsewhere.serving():
        where = {"location": f"{elsewhere.address}/v1/chat/completions"}
        wire = Wire(lambda _: Reply(status, {}, where))
        async with wire.serving():
            reply = await judged(wire, tmp_path)
    assert reply.note == f"provider openai: refused the question: HTTP {status}"
    assert (len(wire.calls), elsewhere.calls) == (1, [])


async def test_a_proxy_of_the_environment_is_asked(tmp_path, proxied):
    proxy = Wire()
    async with proxy.serving():
        proxied(HTTP_PROXY=proxy.address)
        reply = await judged(proxy, tmp_path, base_url="http://model.example/v1")
    assert (reply.note, reply.verdict) == ("", "malicious")
    assert [call.path for call in proxy.calls] == ["http://model.example/v1/chat/completions"]
    assert proxy.calls[0].headers["authorization"] == f"Bearer {KEY}"


async def test_what_the_environment_excepts_is_asked_without_the_proxy(tmp_path, proxied):
    proxy, wire = Wire(), Wire()
    async with proxy.serving(), wire.serving():
        proxied(HTTP_PROXY=proxy.address, NO_PROXY="127.0.0.1")
        reply = await judged(wire, tmp_path)
    assert (reply.verdict, len(wire.calls), proxy.calls) == ("malicious", 1, [])


async def test_an_answer_without_an_end_is_none(tmp_path):
    async with (wire := Wire(lambda _: Reply(200, b" " * (5 << 20)))).serving():
        reply = await judged(wire, tmp_path)
    assert reply.note == "provider openai: unreadable: the answer does not end"


async def test_a_server_that_needs_no_key_gets_none(tmp_path):
    async with (wire := Wire(key=None)).serving():
        settings = settings_for(wire, tmp_path, "vllm", own={"key_file": None})
        gateway = opened(settings)
        reply = await gateway.judge(request())
        await gateway.close()
    assert (reply.note, reply.verdict) == ("", "malicious")
    assert "authorization" not in wire.calls[0].headers

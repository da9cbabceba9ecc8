# SPDX-License-Identifier: Apache-2.0
"""Each provider's own client library against a server that speaks its wire."""

import json
import logging

import pytest
from gateway_making import opened, request, settings_for
from gateway_wire import KEY, Reply, Wire, refused, said, verdict

from habitus.llm_settings import LlmSettings, ProviderSettings
from habitus.plugins import PluginFault
from habitus_llm_gateway.providers import built, place_of
from habitus_llm_gateway.providers.rows import ROWS

OPENAI_LIKE = ["openai", "vllm", "ollama", "llama-server", "deepseek", "dashscope"]
KINDS = [*OPENAI_LIKE, "azure-openai", "anthropic", "gemini"]


async def judged(wire: Wire, folder, kind: str, **fields):
    async with wire.serving():
        gateway = opened(settings_for(wire, folder, kind, **fields))
        try:
            await gateway.prepare()  # a client library's import is none of the provider's time
            return await gateway.judge(request()), gateway
        finally:
            await gateway.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_verdict_comes_through_each_client(kind, tmp_path):
    wire = Wire()
    reply, _ = await judged(wire, tmp_path, kind)
    assert (reply.abstained, reply.note, wire.faults) == (False, "", [])
    assert (reply.verdict, reply.category, reply.techniques) == ("malicious", "cryptomining", ["T1496"])
    assert (reply.provider, reply.model, reply.action) == (kind, "test-model", "block")
    assert (reply.tokens_in, reply.tokens_out, reply.tokens) == (900, 100, 1000)
    assert reply.cost == pytest.approx(900e-6 + 1000e-6)
    assert reply.explanation.zh == "伪装成 java 的程序连接矿池。"
    assert reply.prompt_version.startswith("en-1-")
    assert reply.advice.zh


@pytest.mark.parametrize(
    ("kind", "path", "says"),
    [
        ("openai", "/v1/chat/completions", ("response_format", "json_schema")),
        ("deepseek", "/v1/chat/completions", ("response_format", "json_object")),
        (
            "azure-openai",
            "/openai/deployments/m/chat/completions?api-version=2024-10-21",
            ("response_format", "json_schema"),
        ),
        ("anthropic", "/v1/messages", ("tool_choice", "tool")),
        ("gemini", "/v1/models/m:generateContent", ("generationConfig", None)),
    ],
)
async def test_structured_output_is_asked_for_by_each_provider_s_own_means(kind, path, says, tmp_path):
    wire = Wire()
    await judged(wire, tmp_path, kind)
    [call] = wire.calls
    assert call.path == path
    field, name = says
    if kind == "gemini":
        assert call.body[field]["responseMimeType"] == "application/json"
        assert "verdict" in call.body[field]["responseJsonSchema"]["properties"]
    else:
        assert call.body[field]["type"] == name


@pytest.mark.parametrize("kind", ["openai", "azure-openai", "anthropic", "gemini"])
@pytest.mark.parametrize(
    "status_says_calls",
    [
        (401, "key refused: HTTP 401", 1),
        (403, "key refused: HTTP 403", 1),
        (404, "no such model: HTTP 404", 1),
        (400, "refused the question: HTTP 400", 1),
        (429, "rate limited: HTTP 429", 3),
        (500, "unavailable: HTTP 500", 3),
        (503, "unavailable: HTTP 503", 3),
    ],
)
async def test_errors_are_told_in_our_words_and_hold_no_key(kind, status_says_calls, tmp_path, caplog):
    status, says, calls = status_says_calls
    caplog.set_level(logging.DEBUG)
    wire = Wire(lambda call: refused(call, status))
    reply, gateway = await judged(wire, tmp_path, kind)
    assert (reply.abstained, reply.note) == (True, f"provider {kind}: {says}")
    assert len(wire.calls) == calls
    told = reply.model_dump_json() + json.dumps(gateway.state) + gateway.metrics.text().decode()
    assert KEY not in told + caplog.text


@pytest.mark.parametrize("kind", ["openai", "azure-openai", "anthropic", "gemini"])
async def test_a_wrong_key_is_refused_at_once_and_the_circuit_opens(kind, tmp_path):
    wire = Wire(key="another")
    reply, gateway = await judged(wire, tmp_path, kind)
    assert reply.note == f"provider {kind}: key refused: HTTP 401"
    assert (gateway.state["chain"][0]["state"], gateway.state["used"]) == ("open", None)


@pytest.mark.parametrize("kind", ["openai", "azure-openai", "anthropic", "gemini"])
async def test_a_slow_provider_is_given_up(kind, tmp_path):
    def slow(call):
        reply = said(call, "{}")
        reply.delay_s = 5
        return reply

    own = {"timeout_s": 1.5, "retries": 0}
    reply, _ = await judged(Wire(slow), tmp_path, kind, own=own)
    assert reply.note.startswith(f"provider {kind}: too slow")


@pytest.mark.parametrize("kind", ["openai", "azure-openai", "anthropic", "gemini"])
@pytest.mark.parametrize(
    "body", [b"<html>", b"{", b"[]", b'{"choices": null}', b'{"content": 7, "candidates": []}', b"null", b""]
)
async def test_garbage_with_status_200_is_an_abstention(kind, body, tmp_path):
    reply, _ = await judged(Wire(lambda _: Reply(200, body)), tmp_path, kind)
    assert reply.abstained
    assert reply.note.startswith(f"provider {kind}: ")


@pytest.mark.parametrize("kind", ["openai", "azure-openai", "anthropic", "gemini"])
async def test_a_connection_cut_in_the_middle_is_tried_again(kind, tmp_path):
    def cut(call):
        reply = said(call, "{}")
        reply.cut = True
        return reply

    wire = Wire(cut, verdict())
    reply, _ = await judged(wire, tmp_path, kind)
    assert (reply.note, reply.verdict, len(wire.calls)) == ("", "malicious", 2)


@pytest.mark.parametrize(
    ("kind", "finish", "says"),
    [
        ("openai", "length", "truncated"),
        ("openai", "content_filter", "blocked"),
        ("anthropic", "max_tokens", "truncated"),
        ("anthropic", "refusal", "blocked"),
        ("gemini", "MAX_TOKENS", "truncated"),
        ("gemini", "SAFETY", "blocked"),
    ],
)
async def test_an_answer_that_was_ended_is_no_answer(kind, finish, says, tmp_path):
    reply, _ = await judged(Wire(lambda call: said(call, '{"verdict"', finish)), tmp_path, kind)
    assert reply.note.startswith(f"provider {kind}: {says}")


@pytest.mark.parametrize("kind", ["openai", "azure-openai", "anthropic", "gemini"])
async def test_nobody_there_is_told_and_tried_again(kind, tmp_path):
    wire = Wire()
    async with wire.serving():
        settings = settings_for(wire, tmp_path, kind)
    gateway = opened(settings)
    reply = await gateway.judge(request())
    assert reply.note == f"provider {kind}: unavailable: no connection"
    assert len(gateway.pauses) == 2
    await gateway.close()


def test_every_kind_of_the_rows_is_installed_and_builds(tmp_path):
    for kind in ROWS:
        if kind == "local":
            continue
        own = ProviderSettings(model="m", base_url="http://127.0.0.1:1", key_file=tmp_path / "key")
        (tmp_path / "key").write_text(KEY)
        built(place_of(kind, LlmSettings(provider=kind, providers={kind: own})))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"provider": "openai"}, "needs a model: HABITUS_LLM_MODEL"),
        ({"provider": "openai", "model": "m"}, "needs a key: llm.key_file, or the variable OPENAI_API_KEY"),
        ({"provider": "azure-openai", "model": "m"}, "needs a key"),
        ({"provider": "openai", "model": "m", "key_file": "/nowhere/key"}, "No such file or directory"),
        ({"provider": "local", "model": "/nowhere/model.gguf"}, "no such file"),
        ({"provider": "nix", "model": "m"}, r"no plugin 'nix' in group 'habitus\.providers'"),
    ],
)
def test_what_a_provider_lacks_is_named(fields, says, monkeypatch):
    for row in ROWS.values():
        monkeypatch.delenv(row.key_env or "X", raising=False)
    with pytest.raises(PluginFault, match=says):
        built(place_of(fields["provider"], LlmSettings(**fields)))


def test_a_key_comes_from_the_kind_s_variable_and_shows_nowhere(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    place = place_of("openai", LlmSettings(provider="openai", model="m"))
    assert place.secret == KEY
    assert KEY not in repr(place)


@pytest.mark.parametrize("text", ["", "two words", "line\nline", "sch\u00f6n", "a\x1b[0m"])
def test_a_key_file_without_a_key_is_named(text, tmp_path):
    (tmp_path / "key").write_text(text)
    settings = LlmSettings(provider="openai", model="m", key_file=tmp_path / "key")
    with pytest.raises(PluginFault, match="holds no key"):
        place_of("openai", settings)

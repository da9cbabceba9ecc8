# SPDX-License-Identifier: Apache-2.0
"""The provider `local` against a stand-in for llama.cpp; with the real one: tests/llm/check_local.py."""

import json
import sys
import threading
from types import ModuleType

import pytest
from gateway_making import request
from gateway_wire import VERDICT

from habitus.llm_settings import LlmSettings, ProviderSettings
from habitus.plugins import PluginFault
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.providers import built, local, place_of


class Llama:
    """Speaks in pieces as llama_cpp does; `said`, `finish` and `fault` are the test's."""

    said, finish, fault = json.dumps(VERDICT), "stop", None
    went_on = threading.Event()

    def __init__(self, path, **options) -> None:
        if "broken" in path:
            raise ValueError("Failed to load model from file")
        self.options, self.n_tokens = options, 1000

    def create_chat_completion(self, _messages, **asked):
        assert asked["response_format"]["schema"]["required"]
        if self.fault:
            raise self.fault
        for at in range(0, len(self.said), 50):
            self.went_on.wait(10)
            yield {"choices": [{"delta": {"content": self.said[at : at + 50]}, "finish_reason": None}]}
        yield {"choices": [{"delta": {}, "finish_reason": self.finish}]}


@pytest.fixture
def llama(monkeypatch):
    module = ModuleType("llama_cpp")
    module.Llama = type("OfThisTest", (Llama,), {"went_on": threading.Event()})
    module.Llama.went_on.set()
    monkeypatch.setitem(sys.modules, "llama_cpp", module)
    monkeypatch.setattr(local, "find_spec", lambda name: name)
    return module.Llama


def chosen(folder, name: str = "small.gguf") -> LlmSettings:
    (folder / name).write_bytes(b"GGUF")
    table = ProviderSettings(retries=0, threads=2, prompt="full")
    return LlmSettings(provider="local", model=str(folder / name), providers={"local": table})


async def judged(settings: LlmSettings):
    gateway = Gateway.opened(settings)
    try:
        return await gateway.judge(request())
    finally:
        await gateway.close()


async def test_the_pieces_become_a_verdict(llama, tmp_path):
    reply = await judged(chosen(tmp_path))
    assert (reply.note, reply.verdict, reply.model) == ("", "malicious", "small")
    assert reply.tokens == 1000


@pytest.mark.parametrize(
    ("finish", "fault", "says"),
    [
        ("length", None, "truncated: the answer reached llm.max_tokens"),
        ("stop", ValueError("Requested tokens exceed context window of 8192"), "longer than the model's"),
        ("stop", RuntimeError("llama_decode returned -3"), "unreadable: RuntimeError"),
    ],
)
async def test_what_the_model_cannot_do_is_an_abstention(llama, finish, fault, says, tmp_path):
    llama.finish, llama.fault = finish, fault
    assert says in (await judged(chosen(tmp_path))).note


async def test_a_file_that_is_no_model_is_named(llama, tmp_path):
    note = (await judged(chosen(tmp_path, "broken.gguf"))).note
    assert "broken.gguf cannot be loaded (ValueError)" in note


async def test_a_question_that_was_given_up_ends_at_its_next_piece(llama, tmp_path):
    llama.went_on.clear()
    gateway = Gateway.opened(chosen(tmp_path).model_copy(update={"timeout_s": 0.3}))
    assert (await gateway.judge(request())).note.startswith("provider local: too slow")
    llama.went_on.set()
    assert (await gateway.judge(request("other"))).verdict == "malicious"
    await gateway.close()


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "find_spec", lambda _name: None)
    with pytest.raises(PluginFault, match=r"pip install 'habitus-llm-gateway\[local\]'"):
        built(place_of("local", chosen(tmp_path)))


def test_its_time_limit_is_that_of_a_model_on_the_processor():
    assert (LlmSettings(provider="local").attempt_s("local"), LlmSettings().attempt_s("openai")) == (120, 20)
    assert (LlmSettings(provider="local").patience_s, LlmSettings().patience_s) == (300, 50)
    mixed = LlmSettings(
        provider="openai", fallback=["own"], providers={"own": ProviderSettings(kind="local")}
    )
    assert mixed.patience_s == 300
    assert LlmSettings(provider="local", deadline_s=7).patience_s == 7

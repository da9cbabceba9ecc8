# SPDX-License-Identifier: Apache-2.0
"""How `local` decides with the small prompt, by a stand-in for llama.cpp whose tokens are bytes."""

import ctypes
import json
import sys
from types import ModuleType

import numpy as np
import pytest

from habitus_llm_gateway.answer import AnswerFault, parsed
from habitus_llm_gateway.providers import Prompt, ProviderFault
from habitus_llm_gateway.providers.deciding import Reader, decided

END = 0


class Bytes:
    """A model whose next byte a test scripts; counts what it had to read."""

    ctx = None

    def __init__(self, likes, context: int = 4096) -> None:
        self.likes, self.context, self.n_tokens, self.read = likes, context, 0, 0
        self.input_ids = np.zeros(context, dtype=np.intc)

    def tokenize(self, text, **_options):
        return list(text)

    def detokenize(self, tokens):
        return bytes(token for token in tokens if token != END)

    def n_ctx(self):
        return self.context

    def n_vocab(self):
        return 256

    def token_eos(self):
        return END

    def eval(self, tokens):
        self.input_ids[self.n_tokens : self.n_tokens + len(tokens)] = tokens
        self.n_tokens += len(tokens)
        self.read += len(tokens)
        self.logits = (ctypes.c_float * 256)(*[-50.0] * 256)
        for one, score in self.likes(bytes(self.input_ids[: self.n_tokens].astype(np.uint8))).items():
            self.logits[one] = score


@pytest.fixture(autouse=True)
def library(monkeypatch):
    module = ModuleType("llama_cpp")
    module.made = []
    module.llama_get_memory = lambda _: None
    module.llama_memory_seq_rm = lambda *_: True
    module.llama_get_logits_ith = lambda *_: ctypes.cast(module.model.logits, ctypes.POINTER(ctypes.c_float))
    monkeypatch.setitem(sys.modules, "llama_cpp", module)
    return module


def asked(library, likes, opening="Q: miner?\nA: ", most=100, *, usual_known=True):
    library.model = Bytes(likes) if callable(likes) else likes
    prompt = Prompt("", (("user", opening),), {}, most, str, "small", usual_known)
    return decided(library.model, opening, prompt, lambda: False)


def leaning(odds: float, sentence: bytes = b"It mines.\n"):
    """Return what a model likes that calls it malicious by so much log-odds, and then says `sentence`."""

    def likes(text: bytes) -> dict[int, float]:
        if text.endswith(b"A: "):
            return {ord("m"): odds, ord("b"): 0.0}
        if text.endswith(b"category: "):
            return {ord("r"): 1.0, ord("n"): 9.0}
        if text.endswith(b"re"):
            return {ord("v"): 1.0, ord("c"): 0.0}
        said = text.rsplit(b"sentence: ", 1)[-1]
        return {(sentence + bytes([END]))[len(said)]: 5.0}

    return likes


@pytest.mark.parametrize(
    ("odds", "verdict"), [(3, "malicious"), (0.1, "suspicious"), (-0.4, "benign"), (-4, "benign")]
)
def test_the_verdict_is_the_likelier_word(library, odds, verdict):
    said = json.loads(asked(library, leaning(odds))[0])
    assert said["verdict"] == verdict
    assert 0.5 <= said["confidence"] <= 1
    assert parsed(json.dumps(said), "small").verdict == verdict


def test_without_the_usual_lines_the_words_are_weighed_by_another_scale(library):
    """By the development split: less is new to the model, so it leans to `benign`."""
    weighed = [json.loads(asked(library, leaning(-0.7), usual_known=known)[0]) for known in (True, False)]
    assert [said["verdict"] for said in weighed] == ["benign", "suspicious"]


def test_an_attack_has_a_category_of_the_list_and_one_sentence(library):
    text, read, written = asked(library, leaning(3))
    answer = parsed(text, "small")
    # `n`, of normal-operation, would be likeliest: an attack is never that.
    assert (answer.category, answer.technique, answer.action) == ("reverse-shell", "T1059", "isolate")
    assert answer.explanation_en == "It mines."
    assert "反弹 shell" in answer.explanation_zh
    assert read == len("Q: miner?\nA: ")
    assert written == len("It mines.\n") + 2


def test_a_sentence_without_end_is_cut_and_one_with_quotes_stays_json(library):
    endless = json.loads(asked(library, leaning(3, b'say "x" \\ ' * 9), most=12)[0])["explanation_en"]
    assert endless == 'say "x" \\ sa…'


@pytest.mark.parametrize("said", [b"\n", "反弹 shell 连接到远程主机\n".encode()])
def test_no_reason_or_one_in_another_language_is_said_so_and_costs_no_verdict(library, said):
    answer = parsed(asked(library, leaning(3, said))[0], "small")
    assert (answer.verdict, answer.explanation_en) == ("malicious", "The model gave no reason in English.")


def test_what_is_the_same_as_before_is_not_read_again(library):
    same = "Instructions. " * 20
    asked(library, leaning(-4), f"{same}one A: ")
    model, before = library.model, library.model.read
    asked(library, model, f"{same}two A: ")
    assert model.read - before == len("two A: ")


def test_a_question_beyond_the_context_or_given_up_is_told(library):
    with pytest.raises(ProviderFault, match="longer than the model's context"):
        asked(library, Bytes(leaning(0), context=64), "word " * 64)
    reader = Reader(Bytes(leaning(0)), lambda: True)
    reader.read("A: ")
    with pytest.raises(ProviderFault, match="given up"):
        reader.next()


def test_a_short_answer_is_none_where_a_whole_one_is_asked_for():
    short = '{"verdict":"benign","confidence":0.9,"category":"other","explanation_en":"Fine."}'
    assert parsed(short, "small").action == "none"
    with pytest.raises(AnswerFault, match="explanation_zh"):
        parsed(short)

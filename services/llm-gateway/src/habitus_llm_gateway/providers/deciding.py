# SPDX-License-Identifier: Apache-2.0
"""How a small model in this process decides: by what it would say first, not by what it writes.

Reading a token costs a tenth of writing one, so everything whose form is known is read: the words
`malicious` and `benign` are compared by the model's own probabilities at the place of the verdict,
the category is the likeliest of the list, and only one short sentence is written, for an attack. The
result is the JSON of `answer.ShortAnswer`, always valid. What stays the same between questions, the
instructions and the examples, stays in llama.cpp's memory of keys and values.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from habitus_llm_gateway.answer import Category, is_english
from habitus_llm_gateway.providers import Prompt, ProviderFault

_SURE: Final = 0.75
"""Calibrated chance from which an attack is called malicious and not suspicious."""
_LONGEST_SENTENCE: Final = 28
_END: Final = b"\n"
_QUIET: Final = "normal-operation"
_ORDINARY: Final = "The model takes it for ordinary work of this image."
_NO_REASON: Final = "The model gave no reason in English."
_HOSTILE: Final = tuple(
    name for name in get_args(Category) if name not in {_QUIET, "administration", "policy-violation"}
)


@dataclass(frozen=True)
class _Scale:
    """Platt scaling of the log-odds of `malicious` (Platt, 1999)."""

    bias: float
    slope: float

    def chance(self, odds: float) -> float:
        """Return the calibrated chance of an attack."""
        return 1 / (1 + math.exp(-self.slope * (odds - self.bias)))


# For our examples and Qwen2.5-Coder 1.5B, by the development split of tests/llm; without the usual lines
# the same deeds get lower odds, and are told apart at another place.
_USUAL_KNOWN: Final = _Scale(0.0, 2.4)
_USUAL_UNKNOWN: Final = _Scale(-1.0, 3.1)


@dataclass
class Reader:
    """The tokens that a model has read, and what it thinks comes next.

    Args:
        model: of llama_cpp; its memory is ours alone.
        given_up: tells whether nobody waits for the answer any more.
    """

    model: Any
    given_up: Callable[[], bool]

    def __post_init__(self) -> None:
        self._library = import_module("llama_cpp")
        self.tokens: list[int] = []

    def read(self, text: str, *, special: bool = False) -> None:
        """Read on; `special`: marks of turns in the text are taken as such."""
        self.tokens += self.encoded(text, special=special)

    def encoded(self, text: str, *, special: bool = False) -> list[int]:
        """Return the tokens of a text."""
        return list(self.model.tokenize(text.encode(), add_bos=False, special=special))

    def next(self) -> NDArray[np.float64]:
        """Return log-probabilities [vocabulary] of the next token.

        Raises:
            ProviderFault: the question is longer than the context, or was given up.
        """
        if self.given_up():
            raise ProviderFault("too slow", "given up")
        if len(self.tokens) >= self.model.n_ctx():
            raise ProviderFault("refused the question", "longer than the model's context")
        known = self._known()
        memory = self._library.llama_get_memory(self.model.ctx)
        self._library.llama_memory_seq_rm(memory, -1, known, -1)
        self.model.n_tokens = known
        self.model.eval(self.tokens[known:])
        pointer = self._library.llama_get_logits_ith(self.model.ctx, -1)
        logits = np.ctypeslib.as_array(pointer, shape=(self.model.n_vocab(),)).astype(float)
        logits -= logits.max()
        return np.asarray(logits - math.log(float(np.exp(logits).sum())))

    def _known(self) -> int:
        """Return how many tokens the model's memory shares with ours; the last is always read anew."""
        kept = self.model.input_ids[: min(self.model.n_tokens, len(self.tokens) - 1)]
        same = kept == np.asarray(self.tokens[: len(kept)])
        return len(kept) if same.all() else int(same.argmin())


def decided(model: Any, opening: str, prompt: Prompt, given_up: Callable[[], bool]) -> tuple[str, int, int]:
    """Return the short answer as JSON, and the tokens read and written.

    Args:
        model: of llama_cpp.
        opening: the prompt in the model's own form of turns, up to where its answer begins.
        prompt: limits the sentence that is written.
        given_up: tells whether nobody waits for the answer any more.
    """
    reader = Reader(model, given_up)
    reader.read(opening, special=True)
    tokens_in = len(reader.tokens)
    scale = _USUAL_KNOWN if prompt.usual_known else _USUAL_UNKNOWN
    verdict, confidence = _called(scale.chance(_odds(reader)))
    said = {"verdict": verdict, "confidence": confidence, "category": _QUIET, "explanation_en": _ORDINARY}
    if verdict == "benign":
        return json.dumps(said), tokens_in, 1
    reader.read(f"{verdict}\ncategory: ")
    said["category"] = _likeliest(reader, {name: reader.encoded(name + "\n") for name in _HOSTILE})
    reader.read(f"{said['category']}\nreason in one short sentence: ")
    said["explanation_en"], written = _sentence(reader, min(prompt.max_tokens, _LONGEST_SENTENCE))
    return json.dumps(said), tokens_in, written + 2


def _odds(reader: Reader) -> float:
    """Return the model's log-odds of `malicious` over `benign`."""
    scores = reader.next()
    bad, good = (float(scores[reader.encoded(word)[0]]) for word in ("malicious", "benign"))
    return bad - good


def _called(hostile: float) -> tuple[str, float]:
    if hostile < 1 / 2:
        return "benign", round(1 - hostile, 2)
    return ("malicious" if hostile >= _SURE else "suspicious"), round(hostile, 2)


def _likeliest(reader: Reader, options: Mapping[str, Sequence[int]]) -> str:
    """Return the option that the model says token by token when it may say nothing else."""
    left, at = dict(options), 0
    begun = list(reader.tokens)
    while len(left) > 1:
        firsts = {tokens[at] for tokens in left.values()}
        if len(firsts) > 1:
            scores = reader.next()
            best = max(firsts, key=lambda token: scores[token])
            left = {name: tokens for name, tokens in left.items() if tokens[at] == best}
        reader.tokens.append(next(iter(left.values()))[at])
        at += 1
    reader.tokens = begun
    return next(iter(left))


def _sentence(reader: Reader, most: int) -> tuple[str, int]:
    """Return one sentence, and the tokens that it took; the likeliest token each time."""
    written: list[bytes] = []
    while len(written) < most:
        token = int(reader.next().argmax())
        piece = reader.model.detokenize([token])
        begun, end, _ = piece.partition(_END)
        written.append(begun)
        if token == reader.model.token_eos() or end:
            break
        reader.tokens.append(token)
    else:
        written.append("…".encode())
    text = b"".join(written).decode("utf-8", "ignore").strip()
    # Nothing is asked anew: a small model would say the same.
    return text if text and is_english(text) else _NO_REASON, min(len(written), most)

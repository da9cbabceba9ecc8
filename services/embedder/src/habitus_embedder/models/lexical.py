# SPDX-License-Identifier: Apache-2.0
"""The built-in model: typed tokens and hashed character n-grams. No download, no training.

Feature hashing with signs (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask
Learning") over each token and its character 3- to 5-grams. Numbers and ids are replaced by their
type first. Every token weighs the same however long it is, so a long path cannot drown a short flag.

All sums are sums of whole numbers, which float64 holds exactly: the same text has the same bytes
on every machine and in every batch. The order of the tokens is not seen, and whoever knows the hash
can build collisions: what security turns on is compared exactly, before any cosine is asked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitus.settings import EmbedderSettings

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]

DIMENSION: Final = 1024
_GRAMS: Final = (3, 4, 5)
# A token's weight, shared out over its n-grams; large enough that rounding to whole numbers is small.
_WEIGHT: Final = 256
# Marks of a token's ends: beyond Unicode, so that no text can forge them.
_START: Final = 0x110000
_END: Final = 0x110001

_VOLATILE: Final = re.compile(
    r"""
      (?P<uuid>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)
    | (?P<timestamp>\b[0-9]{4}-[0-9]{2}-[0-9]{2}
        (?:[T_\ ][0-9]{2}:?[0-9]{2}(?::?[0-9]{2})?(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?)
    | \b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b  # an address stays: it tells near from far
    | (?P<hex>\b0x[0-9a-fA-F]+\b|\b(?=[a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{8,}\b)
    | (?P<number>[0-9]+)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Features:
    """The tokens of a batch, end to end.

    Attributes:
        codes: code points with an end mark on each side of every token, [characters].
        lengths: characters of each token with its marks, [tokens].
        rows: the text that each token is of, [tokens].
        texts: how many texts.
    """

    codes: Hashes
    lengths: Numbers
    rows: Numbers
    texts: int


class LexicalModel:
    """Implements `habitus.embedding.EmbeddingModel`; stateless, so safe in any thread.

    `threshold` is measured by tests/test_calibration.py. `max_length` is in characters; texts are
    never cut here, since a cut would hide what stands behind it: the engine refuses longer ones.
    """

    name = "lexical"
    dimension = DIMENSION
    max_length = 65_536
    # In characters, like all lengths here.
    batch_tokens = 1 << 18
    smallest = DIMENSION
    threshold = 0.65
    light = True
    licence = "Apache-2.0"
    fingerprint = ""

    def count(self, texts: Sequence[str]) -> int:
        """Count its own tokens: typed words, and one for a text without any."""
        return sum(len(typed(text).split()) or 1 for text in texts)

    def encode_pre(self, texts: list[str]) -> list[str]:
        """Replace volatile parts by their type."""
        return [typed(text) for text in texts]

    def encode_core(self, features: Sequence[str]) -> NDArray[np.float64]:
        """Hash and add up: → float64 [texts, 1024] of whole numbers."""
        return self._sums(_tokens(features))

    def _sums(self, features: Features) -> NDArray[np.float64]:
        hashes, owners, weights = _hashed(features)
        signs = 1 - 2 * (hashes & np.uint64(1)).astype(np.int64)
        bins = (hashes >> np.uint64(54)).astype(np.int64)
        sums = np.bincount(
            features.rows[owners] * DIMENSION + bins,
            weights=(signs * weights).astype(np.float64),
            minlength=features.texts * DIMENSION,
        )
        return sums.reshape(features.texts, DIMENSION).astype(np.float64, copy=False)

    def encode_post(self, outputs: NDArray[np.float64]) -> NDArray[np.float32]:
        """Normalise: → float32 [texts, 1024], rows of length 1."""
        norms = np.sqrt((outputs * outputs).sum(axis=1, keepdims=True))
        # Signs can cancel all that a text has; it then takes the first axis.
        outputs[norms[:, 0] == 0, 0] = 1
        norms[norms == 0] = 1
        vectors: NDArray[np.float32] = (outputs / norms).astype(np.float32)
        return vectors


def lexical(_settings: EmbedderSettings) -> LexicalModel:
    """The built-in model has nothing to set."""
    return LexicalModel()


def typed(text: str) -> str:
    """Return `text` with uuids, timestamps, hex and other numbers replaced by `<type>`."""
    return _VOLATILE.sub(_type_of, text)


def _type_of(found: re.Match[str]) -> str:
    return f"<{found.lastgroup}>" if found.lastgroup else found[0]


def _tokens(texts: Sequence[str]) -> Features:
    tokens: list[str] = []
    counts = []
    for text in texts:
        # The empty text is one empty token, so that it too has a direction.
        found = text.split() or [""]
        tokens += found
        counts.append(len(found))
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens)) + 2
    return Features(
        codes=_marked(tokens, lengths),
        lengths=lengths,
        rows=np.repeat(np.arange(len(texts)), counts),
        texts=len(texts),
    )


def _marked(tokens: list[str], lengths: Numbers) -> Hashes:
    joined = "\0" + "\0\0".join(tokens) + "\0"
    # Lone surrogates are hostile but not an error: each is a code point like any other.
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    ends = np.cumsum(lengths)
    codes[ends - lengths] = _START
    codes[ends - 1] = _END
    return codes


def _hashed(features: Features) -> tuple[Hashes, Numbers, Numbers]:
    """Return every feature as (hash, token that it is of, weight)."""
    count = len(features.lengths)
    owner = np.repeat(np.arange(count), features.lengths)
    grams: Numbers = sum(np.maximum(features.lengths - n + 1, 0) for n in _GRAMS)  # type: ignore[assignment]
    share = np.maximum(np.rint(_WEIGHT / np.sqrt(np.maximum(grams, 1))), 1).astype(np.int64)
    hashes = [_words(features)]
    owners = [np.arange(count)]
    weights = [np.full(count, _WEIGHT)]
    rolling = features.codes
    for n in range(2, max(_GRAMS) + 1):
        rolling = rolling[:-1] * _MULTIPLIERS[0] + features.codes[n - 1 :]
        if n in _GRAMS:
            inside = owner[: len(rolling)] == owner[n - 1 :]
            hashes.append(_mixed(rolling[inside] + np.uint64(n)))
            owners.append(owner[: len(rolling)][inside])
            weights.append(share[owners[-1]])
    return np.concatenate(hashes), np.concatenate(owners), np.concatenate(weights)


def _words(features: Features) -> Hashes:
    """Hash each whole token: the sum of its characters, each mixed with its place."""
    starts = np.cumsum(features.lengths) - features.lengths
    places = np.arange(len(features.codes)) - np.repeat(starts, features.lengths)
    characters = _mixed(features.codes | places.astype(np.uint64) << np.uint64(32))
    return _mixed(np.add.reduceat(characters, starts))


# The finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators").
_MULTIPLIERS: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


def _mixed(values: Hashes) -> Hashes:
    values = values + _GOLDEN
    values = (values ^ values >> np.uint64(30)) * _MULTIPLIERS[0]
    values = (values ^ values >> np.uint64(27)) * _MULTIPLIERS[1]
    return values ^ values >> np.uint64(31)

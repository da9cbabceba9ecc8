# SPDX-License-Identifier: Apache-2.0
"""Texts of about a number of tokens, no two alike, the same at every run."""

import random
from typing import Final

_WORDS: Final = (
    "run",
    "the",
    "job",
    "for",
    "all",
    "new",
    "orders",
    "of",
    "this",
    "day",
    "and",
    "then",
    "send",
)


def texts_of(tokens: int, count: int, seed: str) -> list[str]:
    """Return `count` texts of `tokens` give or take a quarter, in tokens of MiniLM."""
    chance = random.Random(seed)  # noqa: S311 - the same texts at every run
    return [
        " ".join(chance.choices(_WORDS, k=chance.randint(tokens * 3 // 4, tokens * 5 // 4) - 2))
        for _ in range(count)
    ]

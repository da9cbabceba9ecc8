# SPDX-License-Identifier: Apache-2.0
"""False positives and misses on the near misses (tests/nearmiss), for each step alone and all together.

`nearmiss.*` is the reported half; `nearmiss.tuning.*` the half by which rules were chosen, which
flatters. The model is the lexical one at its own threshold.
"""

from collections.abc import Mapping

import numpy as np

from habitus_embedder.models.lexical import LexicalModel
from habitus_nearmiss import Half
from habitus_nearmiss_steps import STEPS, Vectors, rates, verdicts

_MODEL = LexicalModel()


def _embed(texts: list[str]) -> Vectors:
    if not texts:
        return np.zeros((0, _MODEL.dimension), np.float32)
    return _MODEL.encode_post(_MODEL.encode_core(_MODEL.encode_pre(texts)))


def measure(rounds: int) -> Mapping[str, float]:
    """Return shares, 0 … 1; the same in every round."""
    del rounds
    return {**_half("reported", "nearmiss"), **_half("tuning", "nearmiss.tuning")}


def _half(half: Half, prefix: str) -> dict[str, float]:
    found = list(verdicts(half, _embed, _MODEL.threshold))
    figures = {}
    for step in STEPS:
        name = prefix if step == "all" else f"{prefix}.{step}"
        figures[f"{name}.false_positive"], figures[f"{name}.miss"] = rates(found, step)
    return figures

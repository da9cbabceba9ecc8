# SPDX-License-Identifier: Apache-2.0
"""False positives and misses on the near misses (tests/nearmiss), for each step alone and all together.

`nearmiss.*` is the reported half; `nearmiss.tuning.*` the half by which rules were chosen, which
flatters. The model is the lexical one at its own threshold.
"""

from collections.abc import Mapping

import numpy as np

from habitus_embedder.models.lexical import LexicalModel
from habitus_nearmiss import Half, services
from habitus_nearmiss_steps import STEPS, Vectors, leaf_of, rates, verdict_of, verdicts
from habitus_profiler import prior

MODEL = LexicalModel()
_BRIBE = 8


def embed(texts: list[str]) -> Vectors:
    """Return the vectors of texts by the lexical model."""
    if not texts:
        return np.zeros((0, MODEL.dimension), np.float32)
    return MODEL.encode_post(MODEL.encode_core(MODEL.encode_pre(texts)))


def measure(rounds: int) -> Mapping[str, float]:
    """Return shares, 0 … 1; the same in every round."""
    del rounds
    figures = {**_half("reported", "nearmiss"), **_half("tuning", "nearmiss.tuning")}
    return figures | {"nearmiss.bought_off.miss": _bought_off()}


def _bought_off() -> float:
    """Return the share of hostile lines that pass once the words that acquit most are put behind them."""
    weights = sorted((weight, name) for name, weight in prior.shipped().of.items() if name.startswith("wp:"))
    bribe = tuple(name.removeprefix("wp:") for _, name in weights[:_BRIBE])
    asked = passed = 0
    for service in services("reported"):
        leaf = leaf_of(service, embed, MODEL.threshold)
        for pair in service.pairs:
            found = verdict_of(service, leaf, (*pair.hostile, *bribe), embed, MODEL.threshold)
            asked, passed = asked + 1, passed + found.known[-1]
    return passed / asked


def _half(half: Half, prefix: str) -> dict[str, float]:
    found = list(verdicts(half, embed, MODEL.threshold))
    figures = {}
    for step in STEPS:
        name = prefix if step == "all" else f"{prefix}.{step}"
        figures[f"{name}.false_positive"], figures[f"{name}.miss"] = rates(found, step)
    return figures

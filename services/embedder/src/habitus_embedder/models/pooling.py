# SPDX-License-Identifier: Apache-2.0
"""From the hidden states of every token to one unit vector a text. A pad is never part of it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pooling = Literal["last", "mean", "cls"]
Hidden = NDArray[np.floating]
Mask = NDArray[np.int64]
Vectors = NDArray[np.float32]


def pooled(hidden: Hidden, mask: Mask, how: Pooling) -> Vectors:
    """Return one row a text: hidden [n, t, d], mask [n, t] of 0 and 1 → float32 [n, d].

    `last` and `cls` take the last and the first token that the mask has, whichever side is padded.
    """
    if how == "mean":
        weights = mask.astype(np.float32)
        # A matrix product adds up in float32 without a masked copy of all hidden states.
        sums = np.matmul(weights[:, None, :], hidden.astype(np.float32, copy=False))[:, 0, :]
        means: Vectors = sums / weights.sum(axis=1, keepdims=True)
        return means
    rows = np.arange(len(mask))
    places = mask.argmax(axis=1) if how == "cls" else mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    chosen: Vectors = hidden[rows, places].astype(np.float32, copy=False)
    return chosen


def cut(vectors: Vectors, dimension: int) -> Vectors:
    """Return the first `dimension` numbers of each row, of length 1 again.

    Matryoshka embeddings (Kusupati et al. 2022, "Matryoshka Representation Learning") are trained
    so that every prefix is an embedding; of other models a prefix means nothing.
    """
    part = vectors[:, :dimension].astype(np.float32, copy=False)
    norms = np.linalg.norm(part, axis=1, keepdims=True)
    unit: Vectors = part / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit

# SPDX-License-Identifier: Apache-2.0
"""Asks the graph and the PyTorch model the same and compares the vectors that are served."""

from typing import Any, Final, NamedTuple

import numpy as np

from habitus_embedder.export.torch_graph import hidden_states
from habitus_embedder.models.onnx import OnnxModel
from habitus_embedder.models.pooling import Pooling, cut, pooled

_TEXTS: Final = [
    "java -jar /app/<path> --ts=<timestamp>",
    "x",
    "nginx -g daemon off;",
    "psql -h db.shop.svc -U app -d orders -c SELECT count(*) FROM orders WHERE day = '<date>'",
]


class Agreement(NamedTuple):
    """How the served vectors compare with PyTorch's.

    Attributes:
        cosine: the lowest over the texts.
        difference: the largest of any number.
    """

    cosine: float
    difference: float


def agreement(served: OnnxModel, torch_model: Any, pooling: Pooling) -> Agreement:
    """Compare, each text alone in PyTorch and all together in the graph."""
    together = served.encode_post(served.encode_core(served.encode_pre(_TEXTS)))
    alone = []
    for tokens in served.encode_pre(_TEXTS):
        ids = np.array([tokens], np.int64)
        mask = np.ones_like(ids)
        alone.append(cut(pooled(hidden_states(torch_model, ids, mask), mask, pooling), served.dimension)[0])
    wanted = np.stack(alone)
    return Agreement(float((together * wanted).sum(axis=1).min()), float(np.abs(together - wanted).max()))

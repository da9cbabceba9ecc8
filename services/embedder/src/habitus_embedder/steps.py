# SPDX-License-Identifier: Apache-2.0
"""The three steps of a model off the loop: on a thread each, so that one batch overlaps with the next.

Those of a light model run one after the other on one thread: between threads they would mostly wait
for each other's interpreter lock.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np

from habitus.embedding import EmbeddingModel
from habitus_embedder.faults import ModelFailed
from habitus_embedder.metrics import Metrics
from habitus_embedder.waiting import Batch

_STEPS: Final = ("pre", "core", "post")

Cut = Callable[[Sequence[str], Sequence[Sized]], Iterable[Batch]]
"""Texts with their features → batches."""


class Ran(NamedTuple):
    """A batch with its little-endian float32 rows."""

    batch: Batch
    rows: list[bytes]


class Steps:
    """Runs `model`. Whatever a step raises is the caller's to handle: a model is a plugin."""

    def __init__(self, model: EmbeddingModel, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics
        self._threads = {step: ThreadPoolExecutor(1, f"encode-{step}") for step in _STEPS}

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def features(self, texts: list[str]) -> Sequence[Sized]:
        """Tokenise."""
        features: Sequence[Sized] = await self._on("pre", lambda: self._features(texts))
        return features

    async def rows(self, batch: Batch) -> list[bytes]:
        """Run the model, pool and normalise.

        Raises:
            ModelFailed: the vectors are not of the model's shape, or not finite.
        """
        outputs = await self._on("core", lambda: self._model.encode_core(batch.features))
        rows: list[bytes] = await self._on("post", lambda: self._rows(outputs, len(batch.texts)))
        return rows

    async def whole(self, texts: list[str], cut: Cut) -> list[Ran]:
        """All three steps in one go; raises as they do, for all texts together."""
        ran: list[Ran] = await self._on("core", lambda: self._whole(texts, cut))
        return ran

    def _whole(self, texts: list[str], cut: Cut) -> list[Ran]:
        model = self._model
        return [
            Ran(batch, self._rows(model.encode_core(batch.features), len(batch.texts)))
            for batch in cut(texts, self._features(texts))
        ]

    def _features(self, texts: list[str]) -> Sequence[Sized]:
        features = self._model.encode_pre(texts)
        if len(features) != len(texts):
            raise ModelFailed(f"{self._model.name} made {len(features)} features of {len(texts)} texts")
        return features

    def _rows(self, outputs: Any, count: int) -> list[bytes]:
        vectors = self._model.encode_post(outputs)
        wanted = (count, self._model.dimension)
        if np.shape(vectors) != wanted:
            raise ModelFailed(f"{self._model.name} gave vectors of shape {np.shape(vectors)}, not {wanted}")
        flat = np.ascontiguousarray(vectors, dtype="<f4").reshape(-1)
        # A sum is not finite where a number is not: one pass and no mask.
        if not np.isfinite(flat.sum()):
            raise ModelFailed(f"{self._model.name} gave a vector that is not finite")
        whole, size = flat.data.cast("B"), 4 * self._model.dimension
        return [bytes(whole[at : at + size]) for at in range(0, len(whole), size)]

    async def _on(self, step: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        done = await asyncio.get_running_loop().run_in_executor(self._threads[step], work)
        self._metrics.steps.labels(step).observe(time.perf_counter() - start)
        return done

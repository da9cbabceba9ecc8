# SPDX-License-Identifier: Apache-2.0
"""The three steps of a model, each on a thread of its own, so that one batch overlaps with the next."""

import asyncio
import time
from collections.abc import Callable, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from habitus.embedding import EmbeddingModel
from habitus_embedder.faults import ModelFailed
from habitus_embedder.metrics import Metrics

_STEPS: Final = ("pre", "core", "post")


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
        features: Sequence[Sized] = await self._on("pre", self._model.encode_pre, texts)
        if len(features) != len(texts):
            raise ModelFailed(f"{self._model.name} made {len(features)} features of {len(texts)} texts")
        return features

    async def outputs(self, features: Sequence[Sized]) -> Any:
        """Run the model."""
        return await self._on("core", self._model.encode_core, features)

    async def rows(self, outputs: Any, count: int) -> list[bytes]:
        """Return little-endian float32 rows of what a run gave for `count` texts.

        Raises:
            ModelFailed: they are not of the model's shape, or not finite.
        """
        vectors = await self._on("post", self._model.encode_post, outputs)
        wanted = (count, self._model.dimension)
        if np.shape(vectors) != wanted:
            raise ModelFailed(f"{self._model.name} gave vectors of shape {np.shape(vectors)}, not {wanted}")
        if not np.isfinite(vectors).all():
            raise ModelFailed(f"{self._model.name} gave a vector that is not finite")
        return [row.tobytes() for row in np.ascontiguousarray(vectors, dtype="<f4")]

    async def _on(self, step: str, function: Callable[[Any], Any], value: Any) -> Any:
        start = time.perf_counter()
        done = await asyncio.get_running_loop().run_in_executor(self._threads[step], function, value)
        self._metrics.steps.labels(step).observe(time.perf_counter() - start)
        return done

# SPDX-License-Identifier: Apache-2.0
"""Batches the texts of many requests through the model's three steps, each on a thread of its own."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from habitus.embedding import EmbeddingModel
from habitus.text import printable
from habitus_embedder.cache import Cache
from habitus_embedder.faults import EmbedFault, ModelFailed, Overloaded, Refused, TooLate, UnknownModel

MAX_TEXTS: Final = 10_000
MAX_CHARACTERS: Final = 65_536
# What a batch may hold together: one long text must not make its neighbours' batch huge.
_BATCH_CHARACTERS: Final = 1 << 18
_STEPS: Final = ("pre", "core", "post")
_RETRY_MS: Final = (10, 5000)


@dataclass(eq=False, slots=True)
class _Job:
    """One request: its distinct texts with the rows known so far, and how many are missing."""

    rows: dict[str, bytes]
    missing: int
    done: asyncio.Future[None]


_Batch = list[tuple[_Job, str]]


class Engine:
    """Texts in, rows of float32 bytes out. `async with Engine(model, …) as engine` starts and ends it.

    Args:
        model: any embedding model; its three steps may run at once on three batches.
        max_batch: texts a run of the model takes at most.
        queue: texts that may wait; beyond, requests are refused as overloaded. A request larger
            than the queue is taken when nothing waits.
        cache: vectors kept in memory.
    """

    def __init__(self, model: EmbeddingModel, *, max_batch: int, queue: int, cache: int) -> None:
        self.model = model
        self._max_batch = max_batch
        self._limit = queue
        self._cache = Cache(cache)
        self._queue: asyncio.Queue[tuple[_Job, str]] = asyncio.Queue()
        self._free = asyncio.Semaphore(len(_STEPS))
        self._threads = {step: ThreadPoolExecutor(1, f"encode-{step}") for step in _STEPS}
        self._batches: set[asyncio.Task[None]] = set()
        self._seconds_per_text = 1e-4

    async def __aenter__(self) -> Self:
        self._feeder = asyncio.create_task(self._feed())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = [self._feeder, *self._batches]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def embed(
        self, texts: Sequence[str], *, model: str | None = None, deadline_ms: int = 0
    ) -> list[bytes]:
        """Return one row a text: little-endian float32 [dimension], of length 1.

        Raises:
            Refused: too many texts, or one too long.
            UnknownModel: `model` is neither None nor the one that is served.
            Overloaded: too many texts wait.
            TooLate: `deadline_ms` milliseconds passed; 0 waits for ever.
            ModelFailed: the model raised.
        """
        self._check(texts, model)
        job = self._admit(texts)
        if job.missing:
            try:
                async with asyncio.timeout(deadline_ms / 1000 if deadline_ms > 0 else None):
                    await job.done
            except TimeoutError:
                raise TooLate(f"not done within the deadline of {deadline_ms} ms") from None
        return [job.rows[text] for text in texts]

    def _check(self, texts: Sequence[str], model: str | None) -> None:
        if model not in (None, self.model.name):
            raise UnknownModel(
                f"no model {printable(repr(model), 100)}; this embedder serves {self.model.name!r}"
            )
        if len(texts) > MAX_TEXTS:
            raise Refused(f"{len(texts)} texts; a request takes at most {MAX_TEXTS}")
        for place, text in enumerate(texts):
            if len(text) > MAX_CHARACTERS:
                raise Refused(f"text {place} has {len(text)} characters; at most {MAX_CHARACTERS}")

    def _admit(self, texts: Sequence[str]) -> _Job:
        name = self.model.name
        known = {text: self._cache.get(name, text) for text in texts}
        rows = {text: row for text, row in known.items() if row is not None}
        missing = [text for text, row in known.items() if row is None]
        waiting = self._queue.qsize()
        if waiting and waiting + len(missing) > self._limit:
            low, high = _RETRY_MS
            raise Overloaded(min(max(round(waiting * self._seconds_per_text * 1000), low), high))
        job = _Job(rows, len(missing), asyncio.get_running_loop().create_future())
        for text in missing:
            self._queue.put_nowait((job, text))
        return job

    async def _feed(self) -> None:
        while True:
            await self._free.acquire()
            batch = self._gathered(await self._queue.get())
            task = asyncio.create_task(self._run(batch))
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)

    def _gathered(self, first: tuple[_Job, str]) -> _Batch:
        """Take what waits, up to a batch; texts that nobody waits for any more are left out."""
        batch: _Batch = []
        characters = 0
        item: tuple[_Job, str] | None = first
        while item is not None:
            if not item[0].done.done():
                batch.append(item)
                characters += len(item[1])
            full = len(batch) >= self._max_batch or characters >= _BATCH_CHARACTERS
            item = None if full or self._queue.empty() else self._queue.get_nowait()
        return batch

    async def _run(self, batch: _Batch) -> None:
        try:
            await self._answer(batch)
        finally:
            self._free.release()

    async def _answer(self, batch: _Batch) -> None:
        try:
            distinct = list(dict.fromkeys(text for _, text in batch))
            rows = await self._encoded(distinct) if distinct else {}
        except Exception as error:  # noqa: BLE001  # a model is a plugin: whatever it raises is an answer
            await self._failed(batch, error)
            return
        for text, row in rows.items():
            self._cache.put(self.model.name, text, row)
        for job, text in batch:
            _fill(job, text, rows[text])

    async def _failed(self, batch: _Batch, error: Exception) -> None:
        shares: dict[_Job, _Batch] = {}
        for item in batch:
            shares.setdefault(item[0], []).append(item)
        if len(shares) > 1:
            # One caller's text must not fail its neighbours: each request runs again on its own.
            for share in shares.values():
                await self._answer(share)
            return
        line = printable(f"the model failed: {type(error).__name__}: {error}", 300)
        for job in shares:
            if not job.done.done():
                job.done.set_exception(error if isinstance(error, EmbedFault) else ModelFailed(line))

    async def _encoded(self, texts: list[str]) -> dict[str, bytes]:
        start = time.perf_counter()
        features = await self._on("pre", self.model.encode_pre, texts)
        outputs = await self._on("core", self.model.encode_core, features)
        vectors = await self._on("post", self.model.encode_post, outputs)
        wanted = (len(texts), self.model.dimension)
        if np.shape(vectors) != wanted:
            raise ModelFailed(f"{self.model.name} gave vectors of shape {np.shape(vectors)}, not {wanted}")
        took = (time.perf_counter() - start) / len(texts)
        self._seconds_per_text += 0.1 * (took - self._seconds_per_text)
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        return {text: row.tobytes() for text, row in zip(texts, rows, strict=True)}

    async def _on(self, step: str, function: Any, value: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads[step], function, value)


def _fill(job: _Job, text: str, row: bytes) -> None:
    job.rows[text] = row
    job.missing -= 1
    if job.missing == 0 and not job.done.done():
        job.done.set_result(None)

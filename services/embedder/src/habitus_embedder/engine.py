# SPDX-License-Identifier: Apache-2.0
"""Batches the texts of many requests through the model: bounded, sorted by length, each text once."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

import numpy as np

from habitus.embedding import EmbeddingModel
from habitus.text import printable
from habitus_embedder.cache import Cache
from habitus_embedder.faults import EmbedFault, ModelFailed, Overloaded, Refused, TooLate, UnknownModel
from habitus_embedder.metrics import Metrics
from habitus_embedder.steps import Steps
from habitus_embedder.waiting import Batch, Job, Waiting, batches, room

MAX_TEXTS: Final = 10_000
MAX_CHARACTERS: Final = 65_536
# Batches' worth of texts that are sorted together: more sort better, and the oldest wait longer.
_WINDOW: Final = 8
# One batch runs and one lies ready, so that the model never waits for the loop; windows for a light model.
_AHEAD: Final = 2
_RETRY_MS: Final = (10, 5000)

_Work = TypeVar("_Work")


class SecondLevel(Protocol):
    """Vectors that embedders share. It never raises and never keeps a caller waiting for long."""

    async def get(self, texts: Sequence[str]) -> dict[str, bytes]:
        """Return the rows that it has."""
        ...

    def put(self, rows: dict[str, bytes]) -> None:
        """Keep rows, in its own time."""
        ...


class Engine:
    """Texts in, rows of float32 bytes out. `async with Engine(model, …) as engine` starts and ends it.

    Args:
        model: any embedding model; its three steps may run at once on three batches.
        max_batch: texts a run of the model takes at most.
        queue: texts that may wait; beyond, requests are refused as overloaded. A request larger
            than the queue is taken when nothing waits.
        cache: vectors kept in memory.
        batch_tokens: texts × longest of a run; None takes the model's own.
        second: vectors shared with other embedders, asked before the model is.
    """

    def __init__(
        self,
        model: EmbeddingModel,
        *,
        max_batch: int,
        queue: int,
        cache: int,
        batch_tokens: int | None = None,
        second: SecondLevel | None = None,
    ) -> None:
        self.model = model
        self.metrics = Metrics()
        self._max_batch = max_batch
        self._cut = partial(batches, max_batch=max_batch, max_tokens=batch_tokens or model.batch_tokens)
        self._limit = queue
        self._cache = Cache(cache)
        self._second = second
        self._waiting = Waiting()
        self._ahead = asyncio.Semaphore(_AHEAD)
        self._steps = Steps(model, self.metrics)
        self._running: set[asyncio.Task[None]] = set()
        self._seconds_per_text = 1e-4
        self.metrics.waiting.set_function(lambda: self._waiting.texts)

    async def __aenter__(self) -> Self:
        self._feeder = asyncio.create_task(self._feed())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = [self._feeder, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._steps.close()

    async def embed(
        self, texts: Sequence[str], *, model: str | None = None, deadline_ms: int = 0, dimension: int = 0
    ) -> list[bytes]:
        """Return one row a text: little-endian float32, of length 1; `dimension` 0 is the model's own.

        Raises:
            Refused: too many texts, one too long, or a dimension that the model does not have.
            UnknownModel: `model` is neither None nor the one that is served.
            Overloaded: too many texts wait.
            TooLate: `deadline_ms` milliseconds passed; 0 waits for ever.
            ModelFailed: the model raised.
        """
        outcome = "cancelled"
        start = time.perf_counter()
        try:
            self._check(texts, model, dimension)
            rows = await self._rows(texts, deadline_ms)
            outcome = "done"
        except EmbedFault as fault:
            outcome = fault.outcome
            raise
        finally:
            self.metrics.requests.labels(outcome).inc()
        self.metrics.seconds.observe(time.perf_counter() - start)
        return _cut(rows, dimension) if dimension not in (0, self.model.dimension) else rows

    async def _rows(self, texts: Sequence[str], deadline_ms: int) -> list[bytes]:
        job = self._admit(texts)
        if job.missing:
            try:
                async with asyncio.timeout(deadline_ms / 1000 if deadline_ms > 0 else None):
                    await job.done
            except TimeoutError:
                raise TooLate(f"not done within the deadline of {deadline_ms} ms") from None
        return [job.rows[text] for text in texts]

    def _check(self, texts: Sequence[str], model: str | None, dimension: int) -> None:
        served = self.model
        if model not in (None, served.name):
            raise UnknownModel(
                f"no model {printable(repr(model), 100)}; this embedder serves {served.name!r}"
            )
        if dimension and not served.smallest <= dimension <= served.dimension:
            many = f"{served.smallest} to {served.dimension}"
            own = f"{served.dimension}, and only those" if served.smallest == served.dimension else many
            raise Refused(f"dimensions: {served.name} has {own}")
        if len(texts) > MAX_TEXTS:
            raise Refused(f"{len(texts)} texts; a request takes at most {MAX_TEXTS}")
        if max(map(len, texts), default=0) > MAX_CHARACTERS:
            place = next(at for at, text in enumerate(texts) if len(text) > MAX_CHARACTERS)
            raise Refused(f"text {place} has {len(texts[place])} characters; at most {MAX_CHARACTERS}")

    def _admit(self, texts: Sequence[str]) -> Job:
        rows = self._cache.known(self.model.name, texts)
        missing = [text for text in dict.fromkeys(texts) if text not in rows]
        waiting = self._waiting
        if waiting.room and waiting.room + room(missing) > self._limit:
            low, high = _RETRY_MS
            raise Overloaded(min(max(round(waiting.texts * self._seconds_per_text * 1000), low), high))
        self.metrics.texts.labels("memory").inc(len(rows))
        job = Job(rows, len(missing), asyncio.get_running_loop().create_future())
        waiting.add(job, missing)
        return job

    async def _feed(self) -> None:
        while True:
            texts = await self._waiting.window(_WINDOW * self._max_batch)
            if self._second is not None:
                texts = await self._asked_of(self._second, texts)
            if self.model.light:
                await self._start(self._whole, texts)
                continue
            for batch in await self._prepared(texts):
                await self._start(self._run, batch)

    async def _start(self, work: Callable[[_Work], Coroutine[Any, Any, None]], value: _Work) -> None:
        """Let `work` run beside the feeder as soon as there is a place."""
        await self._ahead.acquire()
        task = asyncio.create_task(work(value))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._ahead.release()

    async def _asked_of(self, second: SecondLevel, texts: list[str]) -> list[str]:
        """Answer what the second level has; return the rest."""
        found = await second.get(texts)
        self.metrics.texts.labels("shared").inc(len(found))
        self._waiting.started(list(found))
        self._keep(found)
        return [text for text in texts if text not in found]

    async def _prepared(self, texts: list[str]) -> list[Batch]:
        """Tokenise and cut into batches; a text that cannot be tokenised fails alone."""
        if not texts:
            return []
        try:
            features = await self._steps.features(texts)
        except Exception as error:  # noqa: BLE001  # a model is a plugin: whatever it raises is an answer
            if len(texts) == 1:
                self._waiting.started(texts)
                self._fail(texts, error)
                return []
            middle = len(texts) // 2
            return [*await self._prepared(texts[:middle]), *await self._prepared(texts[middle:])]
        return list(self._cut(texts, features))

    async def _run(self, batch: Batch) -> None:
        wanted = self._still_wanted(batch)
        if not wanted.texts:
            return
        start = time.perf_counter()
        await self._halved(wanted)
        self._took(time.perf_counter() - start, len(wanted.texts))

    def _still_wanted(self, batch: Batch) -> Batch:
        both = zip(batch.texts, batch.features, strict=True)
        kept = [(text, feature) for text, feature in both if self._waiting.wanted(text)]
        found = Batch([text for text, _ in kept], [feature for _, feature in kept])
        self._waiting.started(found.texts)
        return found

    async def _halved(self, batch: Batch) -> None:
        """Run a batch; one text must not fail its neighbours: try the halves, down to the text that it is."""
        try:
            rows = await self._steps.rows(batch)
        except Exception as error:  # noqa: BLE001  # as above
            self.metrics.failures.inc()
            # A fault that the model tells by name is not one text's.
            if len(batch.texts) == 1 or isinstance(error, EmbedFault):
                self._fail(batch.texts, error)
                return
            for half in batch.halves():
                await self._halved(half)
        else:
            self._finish(batch, rows)

    async def _whole(self, texts: list[str]) -> None:
        """Run a light model; its texts wait until they are answered."""
        start = time.perf_counter()
        try:
            ran = await self._steps.whole(texts, self._cut) if texts else []
        except Exception:  # noqa: BLE001  # which text it was, batches and halves find out
            for batch in await self._prepared(texts):
                await self._run(batch)
            return
        for batch, rows in ran:
            self._waiting.started(batch.texts)
            self._finish(batch, rows)
        self._took(time.perf_counter() - start, len(texts))

    def _took(self, seconds: float, texts: int) -> None:
        self._seconds_per_text += 0.1 * (seconds / max(texts, 1) - self._seconds_per_text)

    def _finish(self, batch: Batch, rows: list[bytes]) -> None:
        self.metrics.sizes.observe(len(rows))
        self.metrics.tokens.inc(batch.tokens)
        self.metrics.padding.inc(batch.padded - batch.tokens)
        self.metrics.texts.labels("model").inc(len(rows))
        found = dict(zip(batch.texts, rows, strict=True))
        self._keep(found)
        if self._second is not None:
            self._second.put(found)

    def _keep(self, rows: dict[str, bytes]) -> None:
        self._cache.put(self.model.name, rows)
        self._waiting.answer(rows)

    def _fail(self, texts: Sequence[str], error: Exception) -> None:
        line = printable(f"the model failed: {type(error).__name__}: {error}", 300)
        for text in texts:
            self._waiting.fail(text, error if isinstance(error, EmbedFault) else ModelFailed(line))


def _cut(rows: list[bytes], dimension: int) -> list[bytes]:
    if not rows:
        return []
    part = np.frombuffer(b"".join(rows), "<f4").reshape(len(rows), -1)[:, :dimension]
    unit = part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return [row.tobytes() for row in np.ascontiguousarray(unit, dtype="<f4")]

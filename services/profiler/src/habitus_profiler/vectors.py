# SPDX-License-Identifier: Apache-2.0
"""Asks the embedder for vectors over the bus: many texts a request, each text once."""

import asyncio
import logging
from collections import OrderedDict
from typing import Final, NamedTuple, Protocol

import numpy as np

from habitus import subjects, wire
from habitus.embedding import EmbedReply, EmbedRequest
from habitus_profiler.leaf import Vector

log = logging.getLogger(__name__)

_BATCH: Final = 64
_CACHED: Final = 4096
# The embedder refuses what is longer, and a text that is refused would be asked for again for ever.
_CHARACTERS: Final = 8192
_TIMEOUT_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


class Requester(Protocol):
    """What of `habitus.bus.Bus` is needed here."""

    async def request(self, subject: str, payload: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        """Send one request and return the reply; TimeoutError when nobody answers."""
        ...


class Embedded(NamedTuple):
    """One text's vector, the model that made it and the model's calibrated threshold."""

    vector: Vector
    model: str
    threshold: float


class Vectors:
    """Texts → vectors. Waits as long as it must: an embedder that is away is asked again.

    Texts that are asked for while a request is under way travel together in the next one.
    """

    def __init__(self, bus: Requester) -> None:
        self._bus = bus
        self._cache: OrderedDict[str, Embedded] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Embedded]] = {}
        self._wake = asyncio.Event()
        self._away = False
        self._model = ""

    async def of(self, texts: list[str]) -> list[Embedded]:
        """Return the vectors of `texts`, in their order."""
        return list(await asyncio.gather(*(self._one(text[:_CHARACTERS]) for text in texts)))

    async def _one(self, text: str) -> Embedded:
        found = self._cache.get(text)
        if found is not None:
            self._cache.move_to_end(text)
            return found
        future = self._waiting.get(text)
        if future is None:
            future = self._waiting[text] = asyncio.get_running_loop().create_future()
            self._wake.set()
        return await asyncio.shield(future)

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        pause = _FIRST_PAUSE_S
        while True:
            await self._wake.wait()
            texts = list(self._waiting)[:_BATCH]
            if not texts:
                self._wake.clear()
                continue
            fault, wait = await self._request(texts)
            if fault is None:
                pause = _FIRST_PAUSE_S
                self._said(None)
                continue
            self._said(fault)
            await asyncio.sleep(max(pause, wait))
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _request(self, texts: list[str]) -> tuple[str | None, float]:
        """Ask once; return (what went wrong, seconds to wait)."""
        try:
            data = await self._bus.request(subjects.EMBED, wire.encode(EmbedRequest(texts=texts)), _TIMEOUT_S)
            reply = wire.decode(EmbedReply, data)
        except (TimeoutError, wire.WireFault) as error:
            return str(error), 0.0
        if reply.error:
            return reply.error, min(reply.retry_after_ms / 1000, _LONGEST_PAUSE_S)
        return self._take(texts, reply), 0.0

    def _take(self, texts: list[str], reply: EmbedReply) -> str | None:
        if reply.dimension < 1 or len(reply.vectors) != 4 * reply.dimension * len(texts):
            return f"model {reply.model}: {len(reply.vectors)} bytes are not {len(texts)} vectors"
        rows = np.frombuffer(reply.vectors, "<f4").astype(np.float32).reshape(len(texts), reply.dimension)
        if not np.isfinite(rows).all():
            return f"model {reply.model}: a vector is not finite"
        if reply.model != self._model:
            self._cache.clear()  # vectors of two models say nothing to each other
            self._model = reply.model
        for text, row in zip(texts, rows, strict=True):
            embedded = Embedded(row.copy(), reply.model, reply.threshold)
            self._cache[text] = embedded
            future = self._waiting.pop(text)
            if not future.done():
                future.set_result(embedded)
        while len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return None

    def _said(self, fault: str | None) -> None:
        if fault and not self._away:
            log.warning("embedder: %s; verdicts on arguments wait", fault)
        if not fault and self._away:
            log.info("embedder: is back")
        self._away = fault is not None

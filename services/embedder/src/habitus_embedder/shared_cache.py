# SPDX-License-Identifier: Apache-2.0
"""Vectors that all embedders of a broker share: the JetStream bucket VECTORS.

A cache may lose: writes are not acknowledged, reads have a moment, and after a fault the broker is
left alone for a while. Whoever may write to the bucket could plant a vector, as whoever may write to
EVENTS could teach a profile; a row that is not of the model's shape and of length 1 is not taken.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from typing import Final

import nats.errors
import numpy as np
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from habitus import subjects
from habitus.bus import Bus
from habitus.embedding import EmbeddingModel
from habitus.text import printable

log = logging.getLogger(__name__)

_WAIT_S: Final = 0.25
_REST_S: Final = 5.0
_DAYS_S: Final = 14 * 86_400.0
_LENGTH_TOLERANCE: Final = 1e-3


class SharedCache:
    """Implements `habitus_embedder.engine.SecondLevel` for one model."""

    def __init__(self, bus: Bus, model: EmbeddingModel) -> None:
        self._bus = bus
        self._model = model
        self._rests_until = 0.0
        self._writes: set[asyncio.Future[None]] = set()

    async def open(self, mebibytes: int) -> bool:
        """Make sure that the bucket stands; False where this broker does not give it (said once)."""
        config = StreamConfig(
            name=f"KV_{subjects.VECTORS}",
            subjects=[f"$KV.{subjects.VECTORS}.>"],
            # A bucket refuses when full; a cache forgets its oldest instead.
            discard=DiscardPolicy.OLD,
            max_bytes=mebibytes << 20,
            max_age=_DAYS_S,
            max_msgs_per_subject=1,
            allow_direct=True,
            allow_rollup_hdrs=True,
            deny_delete=True,
            storage=StorageType.FILE,
        )
        try:
            await self._bus.js.add_stream(config)
        except (JetStreamError, nats.errors.Error, TimeoutError) as error:
            try:
                # One that stands with other limits is the operator's choice and stays.
                await self._bus.js.stream_info(f"KV_{subjects.VECTORS}")
            except (JetStreamError, nats.errors.Error, TimeoutError):
                log.warning("no shared cache: %s", printable(str(error), 200))
                return False
        return True

    async def get(self, texts: Sequence[str]) -> dict[str, bytes]:
        """Return the rows that the bucket has, within a quarter of a second."""
        if time.monotonic() < self._rests_until or not self._bus.nc.is_connected:
            return {}
        asked = [asyncio.ensure_future(self._one(text)) for text in texts]
        done, late = await asyncio.wait(asked, timeout=_WAIT_S)
        for one in late:
            one.cancel()
        if late or any(one.exception() for one in done):
            self._rests_until = time.monotonic() + _REST_S
        rows = [None if one in late or one.exception() else one.result() for one in asked]
        return {text: row for text, row in zip(texts, rows, strict=True) if row is not None}

    def put(self, rows: dict[str, bytes]) -> None:
        """Write rows without waiting."""
        if time.monotonic() < self._rests_until or not self._bus.nc.is_connected:
            return
        task = asyncio.ensure_future(self._write(rows))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write(self, rows: dict[str, bytes]) -> None:
        try:
            for text, row in rows.items():
                await self._bus.nc.publish(self._subject(text), row)
        except (nats.errors.Error, OSError) as error:
            log.debug("shared cache: not written: %s", error)
            self._rests_until = time.monotonic() + _REST_S

    async def _one(self, text: str) -> bytes | None:
        try:
            found = await self._bus.js.get_msg(
                f"KV_{subjects.VECTORS}", subject=self._subject(text), direct=True
            )
        except NotFoundError:
            return None
        return found.data if found.data is not None and self._fits(found.data) else None

    def _fits(self, row: bytes) -> bool:
        if len(row) != 4 * self._model.dimension:
            return False
        length = float(np.linalg.norm(np.frombuffer(row, "<f4")))
        return abs(length - 1) < _LENGTH_TOLERANCE

    def _subject(self, text: str) -> str:
        whole = f"{self._model.fingerprint}\0{text}".encode("utf-8", "surrogatepass")
        return f"$KV.{subjects.VECTORS}.{hashlib.sha256(whole).hexdigest()}"

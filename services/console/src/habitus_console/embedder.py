# SPDX-License-Identifier: Apache-2.0
"""Asks the embedder of the running stack: which model it serves, and for vectors."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitus import subjects, wire
from habitus.bus import Bus
from habitus.embedding import EmbedReply, EmbedRequest

_TEXTS: Final = 32
_WAIT_S: Final = 120.0
_TRIES: Final = 20


class EmbedderFault(RuntimeError):
    """The embedder does not answer, or refuses; the text says why, in one line."""


async def about(bus: Bus) -> EmbedReply:
    """Return the model in use, without vectors.

    Raises:
        EmbedderFault: no embedder answers.
    """
    return await _ask(bus, [])


async def vectors(
    bus: Bus, texts: Sequence[str], advance: Callable[[int, int], None]
) -> dict[str, NDArray[np.float32]]:
    """Return a unit row for each text; `advance` gets (done, all of them).

    Raises:
        EmbedderFault: no embedder answers, it refuses, or it answers in a wrong shape.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for start in range(0, len(texts), _TEXTS):
        part = list(texts[start : start + _TEXTS])
        reply = await _ask(bus, part)
        if len(reply.vectors) != 4 * reply.dimension * len(part):
            raise EmbedderFault(f"the embedder's answer is not {len(part)} vectors")
        rows = np.frombuffer(reply.vectors, "<f4").astype(np.float32).reshape(len(part), -1)
        found |= dict(zip(part, rows, strict=True))
        advance(len(found), len(texts))
    return found


async def _ask(bus: Bus, texts: list[str]) -> EmbedReply:
    for _ in range(_TRIES):
        try:
            data = await bus.request(subjects.EMBED, wire.encode(EmbedRequest(texts=texts)), _WAIT_S)
            reply = wire.decode(EmbedReply, data)
        except (TimeoutError, wire.WireFault) as error:
            raise EmbedderFault(f"no embedder: {error}; is the stack running?") from None
        if not reply.retry_after_ms:
            if reply.error:
                raise EmbedderFault(f"the embedder refuses: {reply.error}")
            return reply
        await asyncio.sleep(reply.retry_after_ms / 1000)
    raise EmbedderFault("the embedder stays overloaded; try later")

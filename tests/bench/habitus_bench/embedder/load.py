# SPDX-License-Identifier: Apache-2.0
"""Load on an embedder from outside: callers that ask again as soon as they have their answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx
import nats

from habitus import subjects
from habitus.embedding import EmbedReply, EmbedRequest
from habitus.wire import decode, encode
from habitus_bench.embedder.texts import texts_of
from habitus_testing import NatsServer

_AT: Final = 32
_REQUEST: Final = 8
_CALLERS: Final = 32
_WAIT_S: Final = 120

Ask = Callable[[list[str]], Awaitable[None]]
"""Sends one request and raises where it is not answered."""


@asynccontextmanager
async def over_nats(server: NatsServer) -> AsyncIterator[Ask]:
    """Ask `habitus.embed`."""
    client = await nats.connect(server.settings.url, token=server.token)

    async def ask(texts: list[str]) -> None:
        answer = await client.request(subjects.EMBED, encode(EmbedRequest(texts=texts)), timeout=_WAIT_S)
        if fault := decode(EmbedReply, answer.data).error:
            raise RuntimeError(f"the embedder refused: {fault}")

    yield ask
    await client.close()


@asynccontextmanager
async def over_http(address: str, model: str) -> AsyncIterator[Ask]:
    """Ask OpenAI's API at `address`."""
    async with httpx.AsyncClient(base_url=address, timeout=_WAIT_S) as client:

        async def ask(texts: list[str]) -> None:
            body = {"model": model, "input": texts, "encoding_format": "base64"}
            (await client.post("embeddings", json=body)).raise_for_status()

        yield ask


async def rate(ask: Ask, count: int, seed: str) -> float:
    """Return texts a second until `count` are answered; the callers go on until then."""
    texts = texts_of(_AT, count + _CALLERS * _REQUEST, seed)
    requests = iter([texts[at : at + _REQUEST] for at in range(0, len(texts), _REQUEST)])
    answered = 0
    reached = 0.0

    async def caller() -> None:
        nonlocal answered, reached
        for part in requests:
            if answered >= count:
                return
            await ask(part)
            answered += len(part)
            if answered >= count and not reached:
                reached = time.perf_counter()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    return count / (reached - start)

# SPDX-License-Identifier: Apache-2.0
"""The embedder's client: batches, retries, refuses nonsense."""

import asyncio
import contextlib

import numpy as np
import pytest

from habitus import subjects, wire
from habitus.embedding import EmbedReply, EmbedRequest
from habitus_profiler import vectors as module
from habitus_profiler.vectors import Vectors


def reply(texts, model="m", **fields):
    rows = np.stack([np.full(4, len(text), "<f4") for text in texts])
    return EmbedReply(
        **{"model": model, "dimension": 4, "vectors": rows.tobytes(), "threshold": 0.5, **fields}
    )


class Bus:
    """Answers from a list of answers; each is made from the texts of its request."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def request(self, subject, payload, timeout):  # noqa: ARG002, ASYNC109  # as the bus has it
        assert subject == subjects.EMBED
        texts = wire.decode(EmbedRequest, payload).texts
        self.requests.append(texts)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else reply
        if isinstance(answer, Exception):
            raise answer
        return wire.encode(answer(texts))


@pytest.fixture
async def serve(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.001)
    tasks = []

    def start(bus):
        vectors = Vectors(bus)
        tasks.append(asyncio.ensure_future(vectors.run()))
        return vectors

    yield start
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_texts_travel_together_and_each_once(serve):
    """Two askers of one text share its vector; the second time nobody is asked."""
    bus = Bus()
    vectors = serve(bus)
    found = await asyncio.gather(vectors.of(["a", "bb"]), vectors.of(["bb", "a"]))
    assert [[row.vector[0] for row in rows] for rows in found] == [[1, 2], [2, 1]]
    await vectors.of(["a"])
    assert bus.requests == [["a", "bb"]]


async def test_whatever_goes_wrong_is_asked_again(serve):
    """Nobody there, an error, an overload, a reply that does not fit: the verdict waits."""
    bus = Bus(
        TimeoutError("nobody serves habitus.embed"),
        lambda _: EmbedReply(error="overloaded", retry_after_ms=1),
        lambda texts: reply(texts, dimension=3),
        lambda texts: reply(texts, vectors=np.full((len(texts), 4), np.nan, "<f4").tobytes()),
    )
    [found] = await serve(bus).of(["abc"])
    assert found.vector.tolist() == [3, 3, 3, 3]
    assert found.threshold == 0.5
    assert len(bus.requests) == 5


async def test_many_texts_are_asked_for_in_batches(serve):
    """No request grows without bound."""
    bus = Bus()
    await serve(bus).of([str(number) for number in range(150)])
    assert [len(texts) for texts in bus.requests] == [64, 64, 22]


async def test_another_model_empties_the_cache(serve):
    """Vectors of two models are never mixed."""
    bus = Bus(reply, lambda texts: reply(texts, model="n"), lambda texts: reply(texts, model="n"))
    vectors = serve(bus)
    await vectors.of(["a"])
    await vectors.of(["b"])
    [found] = await vectors.of(["a"])
    assert found.model == "n"
    assert len(bus.requests) == 3

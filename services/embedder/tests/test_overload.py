# SPDX-License-Identifier: Apache-2.0
"""Both faces pass on an overloaded engine's time to retry, and the caller's deadline."""

import threading
from types import SimpleNamespace

import httpx
import pytest

from habitus.embedding import EmbedReply, EmbedRequest
from habitus.wire import decode, encode
from habitus_embedder import http_face
from habitus_embedder.engine import Engine
from habitus_embedder.faults import Overloaded
from habitus_embedder.models.lexical import LexicalModel
from habitus_embedder.nats_face import NatsFace


class Full(Engine):
    async def embed(self, *_texts, **_options):
        raise Overloaded(1500)


@pytest.fixture
async def full():
    async with Full(LexicalModel(), max_batch=1, queue=1, cache=0) as engine:
        yield engine


class Stuck(LexicalModel):
    def __init__(self) -> None:
        self.gate = threading.Event()

    def encode_core(self, features):
        self.gate.wait(30)
        return super().encode_core(features)


@pytest.fixture
async def stuck():
    model = Stuck()
    async with Engine(model, max_batch=1, queue=8, cache=0) as engine:
        yield engine
        model.gate.set()


async def test_a_deadline_is_kept_on_both_faces(stuck):
    face = NatsFace(stuck, SimpleNamespace(max_payload=1 << 20))
    reply = decode(EmbedReply, await face.answer(encode(EmbedRequest(texts=["a"], deadline_ms=20))))
    assert (reply.error, reply.vectors) == ("not done within the deadline of 20 ms", b"")
    transport = httpx.ASGITransport(http_face.application(stuck, lambda: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://embedder") as http:
        late = await http.post("/v1/embeddings", json={"input": "b"}, headers={"X-Deadline-Ms": "20"})
        wrong = await http.post("/v1/embeddings", json={"input": "b"}, headers={"X-Deadline-Ms": "-1"})
    assert (late.status_code, late.json()["error"]["message"]) == (
        504,
        "not done within the deadline of 20 ms",
    )
    assert (wrong.status_code, "x-deadline-ms" in wrong.json()["error"]["message"]) == (400, True)


async def test_over_nats_the_reply_says_when_to_ask_again(full):
    face = NatsFace(full, SimpleNamespace(max_payload=1 << 20))
    reply = decode(EmbedReply, await face.answer(encode(EmbedRequest(texts=["a"]))))
    assert (reply.error, reply.retry_after_ms) == ("overloaded: retry after 1500 ms", 1500)


async def test_over_http_it_is_429_with_retry_after(full):
    transport = httpx.ASGITransport(http_face.application(full, lambda: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://embedder") as http:
        answer = await http.post("/v1/embeddings", json={"input": "a"})
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["retry-after-ms"]) == (
        429,
        "2",
        "1500",
    )

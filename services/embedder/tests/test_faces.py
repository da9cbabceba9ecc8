# SPDX-License-Identifier: Apache-2.0
"""Real embedder processes on a real nats-server, asked over NATS and HTTP."""

import asyncio
import base64
import json
import socket

import httpx
import msgspec
import nats
import numpy as np
import pytest

from habitus import subjects
from habitus.embedding import EmbedReply, EmbedRequest
from habitus.wire import decode, encode

TEXTS = ["java -jar /app/<path> --ts=<timestamp>", "", "\u202e高危"]


@pytest.fixture
async def client(nats_server):
    connected = await nats.connect(nats_server.settings.url, token=nats_server.token)
    yield connected
    await connected.close()


async def ask(client, request: EmbedRequest | bytes) -> EmbedReply:
    data = request if isinstance(request, bytes) else encode(request)
    return decode(EmbedReply, (await client.request(subjects.EMBED, data, timeout=30)).data)


async def test_a_request_over_nats_gets_vectors_and_the_threshold(start, client):
    start()
    reply = await ask(client, EmbedRequest(texts=TEXTS))
    assert (reply.error, reply.model, reply.dimension, reply.threshold) == (None, "lexical", 1024, 0.65)
    vectors = np.frombuffer(reply.vectors, "<f4").reshape(len(TEXTS), 1024)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


async def test_http_gives_the_same_vectors_as_floats_and_as_base64(start, client):
    address = start().address
    over_nats = (await ask(client, EmbedRequest(texts=TEXTS))).vectors
    async with httpx.AsyncClient(base_url=address) as http:
        floats = (await http.post("/v1/embeddings", json={"input": TEXTS, "model": "lexical"})).json()
        packed = (
            await http.post("/v1/embeddings", json={"input": TEXTS, "encoding_format": "base64"})
        ).json()
    assert floats["model"] == "lexical"
    # Its own tokens: a typed word each, one for the empty text, one for the third.
    assert floats["usage"] == packed["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    assert [item["index"] for item in floats["data"]] == [0, 1, 2]
    assert np.array([item["embedding"] for item in floats["data"]], "<f4").tobytes() == over_nats
    assert b"".join(base64.b64decode(item["embedding"]) for item in packed["data"]) == over_nats


async def test_a_request_without_texts_describes_the_model(start, client):
    start()
    reply = await ask(client, EmbedRequest(texts=[]))
    assert (reply.error, reply.dimension, reply.vectors) == (None, 1024, b"")


async def test_bad_requests_over_nats_get_one_line_and_harm_nobody(start, client):
    start()
    other_major = msgspec.msgpack.encode({"schema": "9.0", "texts": ["a"]})
    bad: list[tuple[EmbedRequest | bytes, str]] = [
        (b"\xc1 no msgpack", "not a EmbedRequest message"),
        (b"", "not a EmbedRequest message"),
        (msgspec.msgpack.encode({"schema": "1.0", "texts": [1]}), "not a EmbedRequest message"),
        (b"\x82\xa6schema\xa31.0\xa5texts\x91\xa2\xff\xfe", "not a EmbedRequest message"),
        (other_major, "schema version '9.0'"),
        (EmbedRequest(texts=["a"], model="nix"), "no model 'nix'"),
        (EmbedRequest(texts=["a" * 70_000]), "text 0 has 70000 characters"),
        (EmbedRequest(texts=["a"] * 10_001), "send at most 255 texts a request"),
        (EmbedRequest(texts=["a"] * 256), "send at most 255 texts a request"),
    ]
    replies = await asyncio.gather(*(ask(client, request) for request, _ in bad))
    for reply, (_, said) in zip(replies, bad, strict=True):
        assert said in (reply.error or "")
        assert (reply.vectors, "\n" in (reply.error or "")) == (b"", False)
    assert (await ask(client, EmbedRequest(texts=["a"]))).error is None


async def test_the_largest_request_that_is_taken_fits_the_broker(start, client):
    start()
    reply = await ask(client, EmbedRequest(texts=[f"line {n} x" for n in range(255)]))
    assert (reply.error, len(reply.vectors)) == (None, 255 * 4096)


BAD_BODIES = [
    ({"input": []}, 400, "input: List should have at least 1 item"),
    ({}, 400, "input: Field required"),
    ({"input": [1, 2]}, 400, "input.0: Input should be a valid string (and 1 more)"),
    ({"input": [[1, 2]]}, 400, "input.0: Input should be a valid string"),
    ({"input": ["a"] * 10_000}, 400, "input: List should have at most 2048 items"),
    ({"input": "a" * 1_000_000}, 400, "text 0 has 1000000 characters"),
    ({"input": "a", "model": "nix"}, 404, "no model 'nix'"),
    ({"input": "a", "dimensions": 7}, 400, "dimensions: lexical has 1024"),
    ({"input": "a", "encoding_format": "hex"}, 400, "encoding_format: "),
    (b"{", 400, "body: "),
    (b'{"input": "\xff"}', 400, "parsing the body"),
    (b"[" * 100_000, 400, "parsing the body"),
    (b" " * (17 << 20), 413, "more than 16777216 bytes"),
]


async def test_bad_requests_over_http_get_openai_s_error_and_harm_nobody(start):
    async with httpx.AsyncClient(base_url=start().address, timeout=30) as http:
        for body, status, said in BAD_BODIES:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"content-type": "application/json"}
            answer = await http.post("/v1/embeddings", content=content, headers=headers)
            assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True), said
        assert (await http.get("/healthz")).json() == {"status": "ok"}


async def test_models_health_and_unknown_routes(start):
    async with httpx.AsyncClient(base_url=start().address) as http:
        (model,) = (await http.get("/v1/models")).json()["data"]
        assert (model["id"], model["dimension"], model["licence"]) == ("lexical", 1024, "Apache-2.0")
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.get("/nowhere")).json()["error"]["message"] == "Not Found"
        assert "/v1/embeddings" in (await http.get("/openapi.json")).json()["paths"]


async def test_two_embedders_share_the_requests_and_one_may_leave(start, client):
    first, second = start(), start()
    request = EmbedRequest(texts=["a"])
    replies = await asyncio.gather(*(ask(client, request) for _ in range(200)))
    assert {reply.error for reply in replies} == {None}
    assert await served(client) == 200
    assert await instances(client) == 2
    assert first.end()[0] == 0
    assert (await ask(client, request)).error is None
    assert second.child.poll() is None


async def statistics(client) -> list[dict]:
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    await client.publish("$SRV.STATS.habitus-embedder", reply=inbox)
    found = [json.loads((await subscription.next_msg(timeout=30)).data) for _ in range(2)]
    await subscription.unsubscribe()
    return found


async def served(client) -> int:
    return sum(one["endpoints"][0]["num_requests"] for one in await statistics(client))


async def instances(client) -> int:
    return sum(one["endpoints"][0]["num_requests"] > 0 for one in await statistics(client))


async def test_ready_says_when_the_broker_is_away(start, nats_server):
    process = start()
    nats_server.stop()
    async with httpx.AsyncClient(base_url=process.address) as http:
        answer = await http.get("/readyz")
        for _ in range(1000):
            if answer.status_code == 503:
                break
            await asyncio.sleep(0.02)
            answer = await http.get("/readyz")
    assert answer.json() == {"status": "unavailable", "detail": "the broker is away"}
    code, said = process.end()
    assert (code, "Traceback" in said) == (0, False), said


def test_sigterm_ends_it_with_0_and_no_traceback(start):
    code, said = start().end()
    assert (code, "Traceback" in said) == (0, False), said


def test_a_port_in_use_is_one_clear_line_and_exit_1(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(HABITUS_EMBEDDER_PORT=str(port))
        assert process.child.wait(30) == 1
    assert process.said.splitlines()[-1] == (
        f"habitus embedder: no HTTP on 127.0.0.1 port {port}: Address already in use; "
        "see HABITUS_EMBEDDER_HOST and HABITUS_EMBEDDER_PORT"
    )


def test_an_unknown_model_is_one_clear_line_and_exit_1(start):
    process = start(HABITUS_EMBEDDER_MODEL="nix")
    assert process.child.wait(30) == 1
    assert process.log.read_text().startswith("habitus embedder: no plugin 'nix' in group 'habitus.models'")

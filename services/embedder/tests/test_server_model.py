# SPDX-License-Identifier: Apache-2.0
"""`openai`: another server behind the embedder's own doors, in the forms that such servers have."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import nats
import numpy as np
import pytest

from habitus import subjects
from habitus.embedding import EmbedReply, EmbedRequest
from habitus.settings import EmbedderSettings
from habitus.wire import decode, encode
from habitus_embedder import http_face
from habitus_embedder.engine import Engine
from habitus_embedder.faults import Away, ModelFailed, Overloaded
from habitus_embedder.models.faults import ModelFault
from habitus_embedder.models.lexical import LexicalModel
from habitus_embedder.models.server import ServerModel, served
from habitus_embedder.nats_face import NatsFace

LEXICAL = LexicalModel()


def vectors(texts: list[str]) -> np.ndarray:
    return LEXICAL.encode_post(LEXICAL.encode_core(LEXICAL.encode_pre(texts)))


class Server:
    """Answers `POST /v1/embeddings` as such servers do.

    `most` texts a request and `longest` characters a text are taken, as by TEI, which refuses more with
    422 and 413; rows come in the wrong order and with further keys, as OpenAI's form allows; they are
    not of length 1.
    """

    def __init__(self, most: int = 32, longest: int = 1000) -> None:
        self.most, self.longest = most, longest
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.instead: tuple[int, bytes, dict[str, str]] | None = None

    def answer(self, body: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        self.bodies.append(body)
        if self.instead is not None and len(self.bodies) > 1:
            return self.instead
        texts = body["input"]
        if len(texts) > self.most:
            return 422, b'{"error": "batch size > maximum allowed", "error_type": "Validation"}', {}
        if max(map(len, texts)) > self.longest or not all(texts):
            return 413, b'{"error": "`inputs` must have less than 512 tokens"}', {}
        rows = [
            {"object": "embedding", "index": at, "embedding": (7 * row).tolist()}
            for at, row in enumerate(vectors(texts))
        ]
        whole = {"id": "embd-1", "object": "list", "created": 1, "model": "m", "data": rows[::-1]}
        return (
            200,
            json.dumps(whole | {"usage": {"prompt_tokens": 9, "completion_tokens": None}}).encode(),
            {},
        )


@pytest.fixture
def run():
    """Serve a `Server`; returns its address."""
    running: list[ThreadingHTTPServer] = []

    def start(server: Server) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.keys.append(self.headers["authorization"])
                status, data, headers = (
                    server.answer(body) if self.path == "/v1/embeddings" else (404, b"", {})
                )
                self.send_response(status)
                for name, value in (headers | {"content-length": str(len(data))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        running.append(http)
        return f"http://127.0.0.1:{http.server_address[1]}/v1"

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


def model(address: str, **settings: Any) -> ServerModel:
    return served(EmbedderSettings(url=address, served_name="m", **settings))


async def embedded(one: ServerModel, texts: list[str]) -> np.ndarray:
    async with Engine(one, max_batch=64, queue=4096, cache=0) as engine:
        return np.frombuffer(b"".join(await engine.embed(texts)), "<f4").reshape(len(texts), -1)


async def test_rows_come_in_the_order_of_the_texts_and_of_length_1(run):
    """More texts than such a server takes at once, one of them empty, one no Unicode."""
    server = Server()
    texts = ["", "\ud800 x", *(f"line {chr(97 + n % 26)} {'y' * n}" for n in range(100))]
    found = await embedded(model(run(server)), texts)
    wanted = vectors([" ", "? x", *texts[2:]])
    assert np.abs(found - wanted).max() < 1e-6
    assert {body["model"] for body in server.bodies} == {"m"}
    assert max(len(body["input"]) for body in server.bodies) == 32


async def test_a_server_that_takes_fewer_texts_gets_fewer(run):
    texts = [f"line {chr(97 + n)}" for n in range(20)]
    assert np.abs(await embedded(model(run(Server(most=3))), texts) - vectors(texts)).max() < 1e-6


async def test_a_text_that_is_too_long_for_the_server_is_cut_and_its_neighbours_are_whole(run):
    texts = ["short", "java " * 500, "other"]
    found = await embedded(model(run(Server(longest=1000))), texts)
    assert np.abs(found - vectors(["short", texts[1][:625], "other"])).max() < 1e-6


def test_the_key_and_the_dimension_are_told(run, tmp_path):
    server = Server()
    (tmp_path / "key").write_text("secret\n")
    address = run(server)
    model(address, key_file=tmp_path / "key", dimension=256)
    assert server.keys == ["Bearer secret"]
    assert server.bodies[0]["dimensions"] == 256
    model(address)
    assert server.keys[1] is None
    assert "dimensions" not in server.bodies[1]


@pytest.mark.parametrize(
    ("instead", "fault", "said"),
    [
        ((429, b"", {"Retry-After": "7"}), Overloaded, "retry after 7000 ms"),
        ((429, b"", {"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"}), Overloaded, "retry after 1000 ms"),
        ((503, b"loading", {}), Away, "answers with status 503"),
        ((401, b"", {}), Away, "answers with status 401"),
        ((400, b"whatever is asked", {}), Away, "refuses a short text: status 400"),
        ((200, b"<html>", {}), ModelFailed, "not OpenAI's form"),
        ((200, b'{"data": []}', {}), ModelFailed, "for 1 texts"),
        ((200, b'{"data": [{"index": 0, "embedding": [1, 2]}]}', {}), ModelFailed, "shape"),
        ((200, b'{"data": [{"index": 0, "embedding": null}]}', {}), ModelFailed, "not OpenAI's form"),
    ],
)
async def test_what_is_wrong_with_the_server_is_told_to_the_caller(run, instead, fault, said):
    server = Server()
    server.instead = instead
    with pytest.raises(fault, match=said) as found:
        await embedded(model(run(server)), ["java -jar app.jar"])
    assert (found.value.retry_after_ms > 0) == (fault in {Away, Overloaded})


async def test_a_server_that_is_away_is_503_with_a_time_to_retry_on_both_faces(run):
    server = Server()
    server.instead = (502, b"", {})
    async with Engine(model(run(server)), max_batch=8, queue=100, cache=0) as engine:
        transport = httpx.ASGITransport(http_face.application(engine, lambda: None))
        async with httpx.AsyncClient(transport=transport, base_url="http://embedder") as http:
            answer = await http.post("/v1/embeddings", json={"input": ["a", "b"]})
        face = NatsFace(engine, type("Client", (), {"max_payload": 1 << 20})())
        reply = decode(EmbedReply, await face.answer(encode(EmbedRequest(texts=["a"]))))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert reply.retry_after_ms == 1000
    assert len(server.bodies) == 3  # one for the dimension, one for each request: not halved


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"embedder\.url: openai needs the address of a server"),
        ({"url": "http://127.0.0.1:1/v1"}, r"embedder\.served_name: name the model"),
        ({"url": "http://127.0.0.1:1/v1", "served_name": "m"}, "Connection refused"),
        (
            {"url": "http://x/v1", "served_name": "m", "key_file": "/no/such/file"},
            r"embedder\.key_file /no/such/file: FileNotFoundError",
        ),
    ],
)
def test_what_is_missing_is_named_at_the_start(settings, said):
    with pytest.raises(ModelFault, match=said):
        served(EmbedderSettings(**settings))


def test_an_address_that_is_none_is_refused_with_the_settings():
    with pytest.raises(ValueError, match="url"):
        EmbedderSettings(url="file:///etc/passwd")


async def test_the_profiler_s_own_request_reaches_the_server_behind_the_embedder(run, start, nats_server):
    """What a profiler asks over NATS, answered by a process that stands for a server of another make."""
    settings = {"HABITUS_EMBEDDER_MODEL": "openai", "HABITUS_EMBEDDER_SERVED_NAME": "m"}
    start(**settings, HABITUS_EMBEDDER_URL=run(Server()), HABITUS_EMBEDDER_THRESHOLD="0.7")
    client = await nats.connect(nats_server.settings.url, token=nats_server.token)
    data = encode(EmbedRequest(texts=["java -jar app.jar"]))
    reply = decode(EmbedReply, (await client.request(subjects.EMBED, data, timeout=30)).data)
    await client.close()
    assert (reply.error, reply.model, reply.threshold) == (None, "m", 0.7)
    assert np.abs(np.frombuffer(reply.vectors, "<f4") - vectors(["java -jar app.jar"])[0]).max() < 1e-6


def test_a_server_that_is_not_there_ends_the_start_with_one_line(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = {"HABITUS_EMBEDDER_MODEL": "openai", "HABITUS_EMBEDDER_SERVED_NAME": "m"}
    process = start(**settings, HABITUS_EMBEDDER_URL=f"http://127.0.0.1:{port}/v1")
    assert process.child.wait(30) == 1
    assert process.said.splitlines()[-1].startswith("habitus embedder: embedder.url: http://127.0.0.1:")

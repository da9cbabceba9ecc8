# SPDX-License-Identifier: Apache-2.0
"""GET over a Unix socket, against servers that answer well, badly or not at all."""

import asyncio

import pytest

from habitus_collector.discovery import unix_http
from habitus_collector.discovery.unix_http import HttpFault, UnixHttp


@pytest.fixture
async def serving(tmp_path):
    """Start a server that gives one answer, whatever it is asked, and notes what that was."""
    servers, asked = [], []

    async def start(answer: bytes, *, stays=False):
        async def serve(reader, writer):
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(answer)
            await writer.drain()
            if stays:
                await reader.read()
            writer.close()

        path = tmp_path / "engine.sock"
        servers.append(await asyncio.start_unix_server(serve, path))
        return UnixHttp(path, timeout_s=0.3), asked

    yield start
    for server in servers:
        server.close()


def answer(body: bytes, status=b"200 OK") -> bytes:
    return b"HTTP/1.0 " + status + b"\r\nContent-Type: application/json\r\n\r\n" + body


async def test_a_document_is_read_to_the_end_of_the_connection(serving):
    http, asked = await serving(answer(b'{"Id": "a1"}\n'))

    assert await http.get("images", "sha256:ab/c", "json") == {"Id": "a1"}
    assert asked[0].startswith("GET /images/sha256:ab%2Fc/json HTTP/1.0\r\n")


async def test_what_is_not_there_is_none(serving):
    http, _ = await serving(answer(b'{"message": "no such container"}', b"404 Not Found"))

    assert await http.get("containers", "a1", "json") is None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (answer(b"broken\x1b[2J", b"500 Internal Server Error"), r"status 500: 'broken\\x1b\[2J'"),
        (answer(b"<html>"), "no JSON"),
        (answer(b"[" * 100_000), "no JSON"),
        (b"SSH-2.0-x\r\n\r\n", "no HTTP answer"),
        (b"", "no HTTP answer"),
        (answer(b" " * 4000), "an answer of more than"),
    ],
)
async def test_an_answer_that_is_none_is_a_fault_of_one_line(serving, monkeypatch, raw, said):
    if b" " * 4000 in raw:
        monkeypatch.setattr(unix_http, "BODY_LIMIT", 1000)
    http, _ = await serving(raw)

    with pytest.raises(HttpFault, match=said) as fault:
        await http.get("info")

    assert "\n" not in str(fault.value)


async def test_a_server_that_never_answers_is_a_fault(serving):
    http, _ = await serving(b"", stays=True)

    with pytest.raises(HttpFault, match=r"no answer within 0\.3 s"):
        await http.get("info")


async def test_a_socket_that_nobody_serves_is_a_fault(tmp_path):
    with pytest.raises(HttpFault, match="No such file"):
        await UnixHttp(tmp_path / "none.sock", 1).get("info")


async def test_a_stream_gives_its_lines_as_they_come(serving):
    http, asked = await serving(answer(b'{"n": 1}\n\n{"n": 2}\n'))

    assert [line async for line in http.lines("/events?filters=x")] == [{"n": 1}, {"n": 2}]
    assert asked[0].startswith("GET /events?filters=x HTTP/1.0\r\n")


async def test_a_stream_may_be_silent_for_longer_than_an_answer_may_take(serving):
    http, _ = await serving(answer(b'{"n": 1}\n'), stays=True)
    lines = http.lines("/events")

    assert await anext(lines) == {"n": 1}
    waiting = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0.5)

    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await lines.aclose()


async def test_a_line_without_end_is_a_fault(serving, monkeypatch):
    monkeypatch.setattr(unix_http, "BODY_LIMIT", 1000)
    http, _ = await serving(answer(b"x" * 5000))

    with pytest.raises(HttpFault, match="a line of more than"):
        _ = [line async for line in http.lines("/events")]

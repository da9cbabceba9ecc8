# SPDX-License-Identifier: Apache-2.0
"""Servers that answer only as a stream: the same verdict, the same faults."""

import json

import pytest
from gateway_making import opened, request, settings_for
from gateway_wire import Reply, Wire, refused, said, verdict


async def judged(wire: Wire, folder, **own):
    async with wire.serving():
        gateway = opened(settings_for(wire, folder, "vllm", own={"stream": True} | own))
        try:
            return await gateway.judge(request())
        finally:
            await gateway.close()


async def test_a_streamed_verdict_is_put_together_and_its_tokens_are_counted(tmp_path):
    wire = Wire()
    reply = await judged(wire, tmp_path)
    assert (reply.note, reply.verdict, wire.faults) == ("", "malicious", [])
    assert reply.explanation.zh == "伪装成 java 的程序连接矿池。"
    assert (reply.tokens_in, reply.tokens_out, reply.model) == (900, 100, "test-model")
    assert wire.calls[0].body["stream"] is True


async def test_a_stream_cut_in_its_middle_is_asked_again(tmp_path):
    def cut(call):
        reply = said(call, json.dumps({"explanation_en": "x" * 500}))
        reply.cut = True
        return reply

    wire = Wire(cut, verdict())
    reply = await judged(wire, tmp_path)
    assert (reply.note, reply.verdict, len(wire.calls)) == ("", "malicious", 2)


ENDLESS = b"".join(
    b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n' % (b"x" * 9000) for _ in range(9)
)
HALF = b'data: {"choices": [{"index": 0, "delta": {"content": "{"}}]}\n\n'


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (ENDLESS, "truncated: more than 65536 characters"),
        (HALF, "unavailable: the stream ended early"),
        (b"data: {\n\n", "unreadable"),
        (b'data: {"error": {"message": "no"}}\n\n', "unreadable"),
        (b"<html>", "unavailable: the stream ended early"),
    ],
)
async def test_a_stream_that_is_none_is_an_abstention(raw, says, tmp_path):
    wire = Wire(lambda _: Reply(200, raw, {"content-type": "text/event-stream"}))
    reply = await judged(wire, tmp_path, retries=0)
    assert reply.note.startswith(f"provider vllm: {says}")


async def test_errors_before_the_stream_are_those_of_every_question(tmp_path):
    reply = await judged(Wire(lambda call: refused(call, 401)), tmp_path)
    assert reply.note == "provider vllm: key refused: HTTP 401"

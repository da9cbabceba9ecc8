# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server that speaks the wires of the paid providers: checks what it gets, answers as they do.

It is for tests and benchmarks: `python gateway_wire.py PORT SECONDS` serves until it is
killed, asks for no key, and takes so many seconds for an answer. `GET …/calls` tells how many came.
"""

import asyncio
import contextlib
import gc
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-test-4f9d2b7c1e8a6053"
VERDICT = {
    "explanation_en": "A program named like java connects to a mining pool.",
    "explanation_zh": "伪装成 java 的程序连接矿池。",
    "verdict": "malicious",
    "confidence": 0.9,
    "category": "cryptomining",
    "technique": "T1496",
    "action": "block",
}


@dataclass
class Call:
    """One request as the server got it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def wire(self) -> str:
        if "/openai/deployments/" in self.path:
            return "azure-openai"
        if self.path.endswith("/chat/completions"):
            return "openai"
        return "anthropic" if self.path.endswith("/messages") else "gemini"

    @property
    def text(self) -> str:
        """All that the model would read."""
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def question(self) -> str:
        """The first turn of the user."""
        if self.wire == "gemini":
            return self.body["contents"][0]["parts"][0]["text"]
        turns = [turn for turn in self.body["messages"] if turn["role"] == "user"]
        return turns[0]["content"]


@dataclass
class Reply:
    """What is sent back: a status and a body; `cut` ends the connection in its middle."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0
    cut: bool = False


Behaviour = Callable[[Call], Reply | Awaitable[Reply]]


def said(call: Call, text: str, finish: str | None = None) -> Reply:
    """Return `text` as the model's answer in the form of the call's wire."""
    if call.wire in {"openai", "azure-openai"}:
        message = {"role": "assistant", "content": text, "refusal": None}
        body: dict[str, Any] = {
            "id": "chatcmpl-9Qx1", "object": "chat.completion", "created": 1764000000, "model": "test-model",
            "choices": [{"index": 0, "message": message, "finish_reason": finish or "stop"}],
            "usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000},
            "system_fingerprint": "fp_1",
        }  # fmt: skip
    elif call.wire == "anthropic":
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if call.body.get("tools") and finish is None:
            with contextlib.suppress(ValueError):
                made = {"type": "tool_use", "id": "toolu_1", "name": "verdict", "input": json.loads(text)}
                blocks = [made]
        stop = finish or ("tool_use" if blocks[0]["type"] == "tool_use" else "end_turn")
        body = {
            "id": "msg_01", "type": "message", "role": "assistant", "model": "test-model", "content": blocks,
            "stop_reason": stop, "stop_sequence": None,
            "usage": {"input_tokens": 900, "output_tokens": 100},
        }  # fmt: skip
    else:
        candidate = {
            "content": {"role": "model", "parts": [{"text": text}]},
            "finishReason": finish or "STOP",
        }
        usage = {"promptTokenCount": 900, "candidatesTokenCount": 100, "totalTokenCount": 1000}
        body = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "test-model"}
    return Reply(200, body)


def refused(call: Call, status: int, **headers: str) -> Reply:
    """Return an error in the form of the call's wire; like the vendors', it names the key."""
    message = f"Incorrect API key provided: {KEY}." if status == 401 else f"went wrong, key {KEY}"
    if call.wire == "anthropic":
        body: dict[str, Any] = {"type": "error", "error": {"type": "error", "message": message}}
    elif call.wire == "gemini":
        body = {"error": {"code": status, "message": message, "status": "UNAVAILABLE"}}
    else:
        body = {"error": {"message": message, "type": "error", "param": None, "code": None}}
    return Reply(status, body, {key.replace("_", "-"): value for key, value in headers.items()})


def streamed(reply: Reply) -> Reply:
    """Return a completion as server-sent events: pieces of seven characters, the usage, the end."""
    body = reply.body
    [choice] = body["choices"]
    text = choice["message"]["content"]
    pieces = [{"content": text[at : at + 7]} for at in range(0, len(text), 7)]
    steps = [(piece, None) for piece in [{"role": "assistant", "content": ""}, *pieces]]
    head = {"id": body["id"], "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    chunks: list[dict[str, Any]] = [
        head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        for delta, finish in [*steps, ({}, choice["finish_reason"])]
    ]
    chunks.append(head | {"choices": [], "usage": body["usage"]})
    lines = [*(json.dumps(chunk, ensure_ascii=False) for chunk in chunks), "[DONE]"]
    raw = "".join(f"data: {line}\n\n" for line in lines).encode()
    return Reply(200, raw, {"content-type": "text/event-stream"}, reply.delay_s, reply.cut)


def verdict(**fields: Any) -> Behaviour:
    """Return a behaviour that answers with a valid verdict."""
    return lambda call: said(call, json.dumps(VERDICT | fields, ensure_ascii=False))


def _key_of(call: Call) -> str:
    headers = call.headers
    found = headers.get("api-key") or headers.get("x-api-key") or headers.get("x-goog-api-key")
    return found or headers.get("authorization", "").removeprefix("Bearer ")


def faults_of(call: Call) -> list[str]:
    """Return what a vendor would refuse in a request."""
    body, wire = call.body, call.wire
    faults = []
    if wire in {"openai", "azure-openai"}:
        if wire == "openai" and not body.get("model"):
            faults.append("no model")
        roles = [turn["role"] for turn in body.get("messages", [])]
        if roles[:2] != ["system", "user"]:
            faults.append("roles")
        form = body.get("response_format", {})
        if form.get("type") == "json_schema" and not form["json_schema"].get("strict"):
            faults.append("schema is not strict")
        if body.get("stream") and not body.get("stream_options", {}).get("include_usage"):
            faults.append("a stream without its usage")
    elif wire == "anthropic":
        if "anthropic-version" not in call.headers or not isinstance(body.get("max_tokens"), int):
            faults.append("version or max_tokens")
        if any(turn["role"] not in {"user", "assistant"} for turn in body.get("messages", [])):
            faults.append("roles")
    elif "contents" not in body or "systemInstruction" not in body:
        faults.append("contents")
    return faults


class Wire:
    """The server: `behaviours` are used up in order, the last one stays."""

    def __init__(self, *behaviours: Behaviour, key: str | None = KEY) -> None:
        self.behaviours = list(behaviours) or [verdict()]
        self.key = key
        self.calls: list[Call] = []
        self.faults: list[str] = []
        self.address = ""
        self._came = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()

    async def asked(self, calls: int) -> None:
        """Wait until so many calls have come."""
        while len(self.calls) < calls:
            self._came.clear()
            await self._came.wait()

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["Wire"]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=1 << 24, backlog=512)
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for connection in list(self._connections):
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        self._connections.add(connection)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        call = Call(first.split()[1], headers, json.loads(body or b"{}"))
        if call.path.endswith("/calls"):
            reply = Reply(200, len(self.calls))
        else:
            self.calls.append(call)
            self._came.set()
            reply = await self._replied(call)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        raw = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        sent = {"content-type": "application/json", "content-length": str(len(raw))} | reply.headers
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{key}: {value}" for key, value in sent.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + (raw[: len(raw) // 2] if reply.cut else raw))
        await writer.drain()
        return not reply.cut

    async def _replied(self, call: Call) -> Reply:
        faults = faults_of(call)
        self.faults += faults
        if self.key is not None and _key_of(call) != self.key:
            return refused(call, 401)
        if faults:
            return refused(call, 400)
        behave = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        reply = behave(call)
        reply = reply if isinstance(reply, Reply) else await reply
        wanted = call.body.get("stream") and isinstance(reply.body, dict) and "choices" in reply.body
        return streamed(reply) if wanted else reply


async def _alone(port: int, delay_s: float) -> None:
    def slow(call: Call) -> Reply:
        reply = said(call, json.dumps(VERDICT))
        reply.delay_s = delay_s
        # Only their number is asked for: all bodies kept would make the collector of garbage hold us up.
        call.body, call.headers = {}, {}
        return reply

    gc.freeze()
    async with Wire(slow, key=None).serving(port) as wire:
        sys.stdout.write(f"{wire.address}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    numbers = [*sys.argv[1:], "0", "0"][:2]
    asyncio.run(_alone(int(numbers[0]), float(numbers[1])))

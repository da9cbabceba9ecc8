# SPDX-License-Identifier: Apache-2.0
"""GET over a Unix socket: all that naming asks of an engine that speaks HTTP.

Requests are HTTP/1.0, so that an answer is one piece that ends with the connection and never comes
in chunks. The SDK that would do the same takes 7 MB of memory and a thread.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

BODY_LIMIT: Final = 4 << 20
"""Bytes of one answer, or of one line of a stream, at most: what is longer is a fault."""
_HEAD_LIMIT: Final = 64 << 10
_OK: Final = 200
_NOT_FOUND: Final = 404
_GONE: Final = re.compile(rb'"cause": ?"no such ')
"""What Podman says, with status 500, of a container that was removed while it looked at it."""
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


class HttpFault(RuntimeError):
    """The engine does not answer, or not as it should; one line."""


class UnixHttp:
    """One engine's socket; every request has a connection of its own."""

    def __init__(self, socket: Path, timeout_s: float) -> None:
        self._socket = socket
        self._timeout_s = timeout_s

    async def get(self, *path: str) -> Any:
        """Return the JSON document at a path of these parts, or None where there is none (any more).

        Raises:
            HttpFault: no answer within the timeout, another status, no JSON.
        """
        try:
            async with asyncio.timeout(self._timeout_s), self._asked(_target(path)) as (status, reader):
                body = await _rest(reader)
        except TimeoutError:
            raise HttpFault(f"no answer within {self._timeout_s:g} s") from None
        if status == _NOT_FOUND or (status != _OK and _GONE.search(body)):
            return None
        if status != _OK:
            raise HttpFault(f"status {status}: {body[:200].decode('utf-8', 'replace').strip()!r}")
        return _document(body)

    async def lines(self, target: str) -> AsyncGenerator[Any, None]:
        """Yield each line of an endless answer as JSON, until the engine ends it.

        Raises:
            HttpFault: the engine does not answer, another status, no JSON.
        """
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._timeout_s):
                    status, reader = await stack.enter_async_context(self._asked(target))
            except TimeoutError:
                raise HttpFault(f"no answer within {self._timeout_s:g} s") from None
            if status != _OK:
                raise HttpFault(f"status {status} for {target.partition('?')[0]}")
            while line := await _line(reader):
                if line.strip():
                    yield _document(line)

    @contextlib.asynccontextmanager
    async def _asked(self, target: str) -> AsyncIterator[tuple[int, asyncio.StreamReader]]:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket, limit=BODY_LIMIT)
        except OSError as error:
            raise HttpFault(error.strerror or type(error).__name__) from None
        try:
            writer.write(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            yield await _head(reader), reader
        finally:
            writer.close()


def _target(parts: tuple[str, ...]) -> str:
    return "".join("/" + quote(part, safe=":@") for part in parts)


async def _head(reader: asyncio.StreamReader) -> int:
    """Read up to the body and return the status."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        head = b""
    status = _STATUS.match(head)
    if status is None or len(head) > _HEAD_LIMIT:
        raise HttpFault("no HTTP answer")
    return int(status[1])


async def _rest(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        while part := await reader.read(1 << 16):
            parts.append(part)
            size += len(part)
            if size > BODY_LIMIT:
                raise HttpFault(f"an answer of more than {BODY_LIMIT >> 20} MiB")
    except OSError as error:
        raise HttpFault(error.strerror or type(error).__name__) from None
    return b"".join(parts)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        raise HttpFault(f"a line of more than {BODY_LIMIT >> 20} MiB") from None
    except OSError as error:
        raise HttpFault(error.strerror or type(error).__name__) from None


def _document(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise HttpFault("an answer that is no JSON") from None

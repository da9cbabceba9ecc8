# SPDX-License-Identifier: Apache-2.0
"""HTTP faces: an application with health routes and a body limit, served inside the running loop.

Needs the extra `http` (FastAPI, uvicorn).
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from habitus import __version__
from habitus.service import ServiceFault
from habitus.text import printable

log = logging.getLogger(__name__)

# Returns None, or in one line why the service cannot work now.
Ready = Callable[[], str | None]

_GRACE_S: Final = 2
_LINE: Final = 300


def application(title: str, about: str, ready: Ready, max_body: int) -> FastAPI:
    """Return an application with `/healthz`, `/readyz` and `/openapi.json`.

    Bodies beyond `max_body` bytes get 413; bad input gets 422 that names the field and does not
    echo the input. There is no documentation page: FastAPI's loads scripts from elsewhere.
    """
    app = FastAPI(title=title, description=about, version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(_BodyLimit, limit=max_body)
    app.add_exception_handler(RequestValidationError, _unprocessable)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that the process runs."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"description": "it cannot work now"}})
    async def readyz() -> JSONResponse:
        """Tell whether requests can be served."""
        why = ready()
        if why is not None:
            return JSONResponse({"status": "unavailable", "detail": why}, 503)
        return JSONResponse({"status": "ready"})

    return app


@contextlib.asynccontextmanager
async def serving(app: FastAPI, host: str, port: int, section: str) -> AsyncIterator[str]:
    """Serve `app` in the running loop while the context lasts; yields its address, `http://…`.

    Port 0 takes a free one. `section` is the settings section that has `host` and `port`.

    Raises:
        ServiceFault: the address cannot be had.
    """
    listener = _bound(host, port, section)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}"
    log.info("listening on %s", address)
    try:
        yield address
    finally:
        server.should_exit = True
        await task


def fault_line(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return pydantic's errors as one printable line: the first field, what is wrong, how many more."""
    first = errors[0]
    # Where a body is not JSON, its place is a number of characters and no field.
    place = () if first["type"] == "json_invalid" else first["loc"]
    field = ".".join(str(part) for part in place if part != "body") or "body"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return printable(f"{field}: {first['msg']}", _LINE) + more


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The service owns the signals and ends this server itself.
        yield


def _bound(host: str, port: int, section: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        key = f"HABITUS_{section.upper()}"
        # Python adds the address to the system's own words; it stands in our line already.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror or str(error)
        raise ServiceFault(
            f"no HTTP on {printable(host, 100)} port {port}: {why}; see {key}_HOST and {key}_PORT"
        ) from None


async def _unprocessable(_request: Request, error: Exception) -> JSONResponse:
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{"loc": list(one["loc"]), "msg": fault_line([one]), "type": one["type"]} for one in errors[:20]]
    return JSONResponse({"detail": detail}, 422)


class _BodyLimit:
    """Refuses a body by its declared length, and one without by what arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = self._counted(receive, _declared(scope))
        await self._app(scope, receive, send)

    def _counted(self, receive: Receive, declared: int) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            # Raised where the application reads, so that it answers in its own form.
            if declared > self._limit:
                raise HTTPException(413, self._why)
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise HTTPException(413, self._why)
            return message

        return counted

    @property
    def _why(self) -> str:
        return f"the body has more than {self._limit} bytes"


def _declared(scope: Scope) -> int:
    length: bytes = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0

# SPDX-License-Identifier: Apache-2.0
"""Puts the routers together, guards them, and gives each fault its status and one line."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from habitus import http
from habitus.text import printable
from habitus_console.api import access, alerts
from habitus_console.desk import Desk
from habitus_console.metrics import Metrics
from habitus_console.profiles import ProfilesAway, ProfilesFault
from habitus_console.store import queries
from habitus_console.store.alerts import AlertStore, Changed, Unknown
from habitus_console.store.states import Forbidden

log = logging.getLogger(__name__)

_MAX_BODY: Final = 64 << 10
_ABOUT: Final = """\
Alerts of Habitus, kept, with what people decided of them. Everything below `/v1` needs the bearer token.
A fault is `{"detail": …}` with one line; one of the input names the field. Text that was observed may be
hostile: control and direction characters are escaped, markup is not."""
_STATUS: Final[dict[type[Exception], int]] = {
    Unknown: 404,
    Forbidden: 409,
    Changed: 409,
    ProfilesFault: 409,
    ProfilesAway: 503,
}


def application(store: AlertStore, desk: Desk, metrics: Metrics, token: str, ready: http.Ready) -> FastAPI:
    """Return the application that serves `store` to whoever holds `token`."""
    app = http.application("Habitus console", _ABOUT, ready, _MAX_BODY)
    app.include_router(alerts.router(store, desk), dependencies=[Depends(access.holder_of(token))])
    for kind, status in _STATUS.items():
        app.add_exception_handler(kind, _answering(status))
    app.add_exception_handler(SQLAlchemyError, _database_fault)

    @app.get("/metrics", response_class=Response)
    async def figures() -> Response:
        """Return the figures in Prometheus' text format."""
        summary = await asyncio.to_thread(queries.summary, store.engine)
        return Response(metrics.text(summary), media_type=CONTENT_TYPE_LATEST)

    return app


def _answering(status: int) -> Callable[[Request, Exception], JSONResponse]:
    def answer(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": printable(str(error), 500)}, status)

    return answer


def _database_fault(_request: Request, error: Exception) -> JSONResponse:
    # What the driver says may name hosts and statements: that is for the log.
    log.warning("the database does not answer: %s", printable(str(error), 300))
    return JSONResponse({"detail": "the database does not answer; see the console's log"}, 503)

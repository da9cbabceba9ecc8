# SPDX-License-Identifier: Apache-2.0
"""The embedder on HTTP, in the form of OpenAI's API: `POST /v1/embeddings`, `GET /v1/models`."""

import asyncio
import base64
import math
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, BeforeValidator, Field, StrictStr
from starlette.exceptions import HTTPException

from habitus import http
from habitus.embedding import EmbeddingModel
from habitus_embedder.engine import Engine
from habitus_embedder.faults import Away, EmbedFault, ModelFailed, Overloaded, Refused, TooLate, UnknownModel

# OpenAI's own limit of one request.
MAX_INPUTS: Final = 2048
_MAX_BODY: Final = 16 << 20
_STATUS: Final[dict[type[EmbedFault], int]] = {
    UnknownModel: 404,
    Refused: 400,
    Overloaded: 429,
    Away: 503,
    TooLate: 504,
    ModelFailed: 500,
}


Deadline = Annotated[int, Header(ge=0, description="milliseconds; 0 waits for ever")]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class EmbeddingsRequest(BaseModel):
    """OpenAI's request. `model` left out takes the one that is served; unknown keys are ignored.

    Token arrays are refused: token numbers mean something only to one tokenizer.
    """

    input: Annotated[
        list[StrictStr],
        Field(min_length=1, max_length=MAX_INPUTS),
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    ]
    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, ge=1)


def application(engine: Engine, ready: http.Ready) -> FastAPI:
    """Return the application that serves `engine`."""
    app = http.application("Habitus embedder", "Texts in, vectors out", ready, _MAX_BODY)
    app.add_exception_handler(EmbedFault, _failed)
    app.add_exception_handler(RequestValidationError, _failed)
    app.add_exception_handler(HTTPException, _failed)

    @app.post("/v1/embeddings", response_class=Response)
    async def embeddings(body: EmbeddingsRequest, x_deadline_ms: Deadline = 0) -> Response:
        """Embed one text or many; beyond `X-Deadline-Ms` milliseconds the answer is 504."""
        rows = await engine.embed(
            body.input, model=body.model, deadline_ms=x_deadline_ms, dimension=body.dimensions or 0
        )
        # Two million numbers take a while to write: not in the loop that others wait for.
        content = await asyncio.to_thread(_written, engine.model, body, rows)
        return Response(content, media_type="application/json")

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List the one model that is served, with what a caller must know of it."""
        model = engine.model
        about = {
            "id": model.name,
            "object": "model",
            "created": 0,
            "owned_by": "habitus",
            "dimension": model.dimension,
            "smallest_dimension": model.smallest,
            "max_length": model.max_length,
            "threshold": model.threshold,
            "licence": model.licence,
        }
        return {"object": "list", "data": [about]}

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return the figures in Prometheus' text format."""
        return Response(engine.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return app


def _written(model: EmbeddingModel, body: EmbeddingsRequest, rows: list[bytes]) -> bytes:
    # Counted anew: what came from a cache was not tokenised.
    tokens = model.count(body.input)
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _shown(row, body.encoding_format)}
                for index, row in enumerate(rows)
            ],
            "model": model.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def _shown(row: bytes, encoding: str) -> str | list[float]:
    if encoding == "base64":
        return base64.b64encode(row).decode("ascii")
    numbers: list[float] = np.frombuffer(row, "<f4").tolist()
    return numbers


async def _failed(_request: Request, error: Exception) -> JSONResponse:
    """Return any fault in OpenAI's form."""
    status, message = 500, str(error)
    headers: dict[str, str] = {}
    if isinstance(error, RequestValidationError):
        status, message = 400, http.fault_line(error.errors())
    elif isinstance(error, HTTPException):
        status, message = error.status_code, str(error.detail)
    elif isinstance(error, EmbedFault):
        status = _STATUS[type(error)]
    if isinstance(error, EmbedFault) and error.retry_after_ms:
        headers["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
        headers["Retry-After-Ms"] = str(error.retry_after_ms)
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004
    code = "model_not_found" if isinstance(error, UnknownModel) else None
    fault = {"message": message, "type": kind, "param": None, "code": code}
    return JSONResponse({"error": fault}, status, headers)

# SPDX-License-Identifier: Apache-2.0
"""The gateway on NATS (`habitus.llm.judge`, JSON) and on HTTP (`POST /v1/judge`)."""

from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from habitus import http, plugins
from habitus.judging import JudgeReply, JudgeRequest
from habitus_llm_gateway.gateway import Gateway, abstained
from habitus_llm_gateway.providers import GROUP
from habitus_llm_gateway.redaction import revealed

# The same as a NATS message: nothing is asked on one face that could not be asked on the other.
_MAX_BODY: Final = 1 << 20


class Reveal(BaseModel):
    """A text with placeholders, and the number that a reply gave."""

    model_config = ConfigDict(extra="forbid")

    redaction: Annotated[str, Field(max_length=64)]
    text: Annotated[str, Field(max_length=65_536)]


async def answer(gateway: Gateway, data: bytes) -> bytes:
    """Return the reply to one NATS request; a bad one gets an abstention that names the field."""
    try:
        request = JudgeRequest.model_validate_json(data)
    except ValidationError as error:
        reply = abstained(f"bad request: {http.fault_line(error.errors())}")
    else:
        reply = await gateway.judge(request)
    return reply.model_dump_json().encode()


def application(gateway: Gateway, ready: http.Ready) -> FastAPI:
    """Return the application that serves `gateway`."""
    app = http.application("Habitus LLM gateway", "One bounded verdict on one departure", ready, _MAX_BODY)

    @app.post("/v1/judge")
    async def judge(request: JudgeRequest) -> JudgeReply:
        """Judge one departure; abstains, with a note, when no provider gives a valid answer."""
        return await gateway.judge(request)

    @app.get("/v1/providers")
    async def providers() -> dict[str, Any]:
        """List the installed providers, the chain in use with its circuits, and the day's budget."""
        return {"installed": plugins.names(GROUP), **gateway.state}

    @app.post("/v1/reveal", responses={403: {"description": "no right"}, 404: {"description": "not kept"}})
    async def reveal(body: Reveal, authorization: Annotated[str, Header()] = "") -> dict[str, str]:
        """Return a text with its redacted secrets, for the reader who holds the token."""
        if not gateway.vault.may_read(authorization.removeprefix("Bearer ")):
            raise HTTPException(403, "no right to read secrets; see llm.reveal_token_file")
        kept = gateway.vault.read(body.redaction)
        if kept is None:
            raise HTTPException(404, "nothing is kept under this number")
        return {"text": revealed(body.text, kept)}

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return the figures in Prometheus' text format."""
        return Response(gateway.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return app

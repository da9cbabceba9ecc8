# SPDX-License-Identifier: Apache-2.0
"""The gateway on NATS (`habitus.llm.judge`, JSON) and on HTTP (`POST /v1/judge`)."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic import ValidationError

from habitus import http, plugins
from habitus.judging import JudgeReply, JudgeRequest
from habitus_llm_gateway.gateway import Gateway, abstained
from habitus_llm_gateway.providers import GROUP

# The same as a NATS message: nothing is asked on one face that could not be asked on the other.
_MAX_BODY: Final = 1 << 20


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
        """Judge one departure; abstains, with a note, when no provider can be asked."""
        return await gateway.judge(request)

    @app.get("/v1/providers")
    async def providers() -> dict[str, Any]:
        """List the installed providers and the one in use."""
        used = gateway.provider
        return {"installed": plugins.names(GROUP), "used": used.name if used else None}

    return app

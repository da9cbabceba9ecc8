# SPDX-License-Identifier: Apache-2.0
"""A provider that asks no model: for trying the way of the data without one, and for nothing else.

It serves OpenAI's chat completions on a free port of the loopback and is asked there by the same
client as the real ones: prompt, wire, schema, validation and budget are those of every question.
Its verdict is the same for each, whatever happened, and its explanation says so.
"""

import asyncio
import contextlib
import json
import logging
import time
from importlib import import_module
from typing import Annotated, Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from habitus import http
from habitus_llm_gateway.answer import Answer
from habitus_llm_gateway.providers import Completion, Place, Prompt
from habitus_llm_gateway.providers.openai import OpenAiProvider

log = logging.getLogger(__name__)

INVENTED: Final = Answer(
    explanation_en="Invented by the provider `fake`: no model was asked, every event gets this verdict.",
    explanation_zh="由 fake 提供者编造：没有询问任何模型，所有事件都得到同一判定。",
    verdict="malicious",
    confidence=0.75,
    category="other",
    technique="",
    action="investigate",
)
_MAX_BODY: Final = 1 << 22
_BYTES_A_TOKEN: Final = 4


class _Turn(BaseModel):
    role: str
    content: str


class _Question(BaseModel):
    """What the wire asks for; further parameters are of no interest here."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[_Turn], Field(min_length=2)]
    max_tokens: int


def application() -> FastAPI:
    """Return the server: `POST /v1/chat/completions`, one choice, the invented verdict."""
    app = http.application("Habitus fake provider", "Invents its verdicts", lambda: None, _MAX_BODY)

    @app.post("/v1/chat/completions")
    async def complete(question: _Question) -> dict[str, Any]:
        text = json.dumps(INVENTED.model_dump(), ensure_ascii=False)
        counts = (sum(len(turn.content) for turn in question.messages), len(text))
        tokens_in, tokens_out = (count // _BYTES_A_TOKEN for count in counts)
        message = {"role": "assistant", "content": text}
        return {
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": question.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": tokens_in,
                "completion_tokens": tokens_out,
                "total_tokens": tokens_in + tokens_out,
            },
        }

    return app


class FakeProvider(OpenAiProvider):
    """Serves the wire, and asks itself over it."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.base_url = None  # its own port, once there is one
        self._serving = contextlib.AsyncExitStack()
        self._lock = asyncio.Lock()
        log.warning("provider %s: no model is asked, its verdicts are invented", place.name)

    def prepare(self) -> None:
        """Import the client; the port opens with the first question, in the loop that asks."""
        import_module("openai")

    async def complete(self, prompt: Prompt) -> Completion:
        """Ask over the loopback."""
        async with self._lock:
            if self.base_url is None:
                served = http.serving(application(), "127.0.0.1", 0, "llm")
                address = await self._serving.enter_async_context(served)
                self.base_url = f"{address}/v1"
                await asyncio.to_thread(super().prepare)
        return await super().complete(prompt)

    async def close(self) -> None:
        """Close the connections, then the port."""
        await super().close()
        await self._serving.aclose()

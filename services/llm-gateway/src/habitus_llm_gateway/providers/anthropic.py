# SPDX-License-Identifier: Apache-2.0
"""Anthropic's messages, over its own client library. JSON comes as the input of one forced tool."""

import json
from typing import TYPE_CHECKING, Any, Final

from habitus_llm_gateway.providers import Completion, Place, Prompt, ProviderFault
from habitus_llm_gateway.providers.faults import of_status

if TYPE_CHECKING:
    import anthropic

_TOOL: Final = "verdict"


class AnthropicProvider:
    """Asks Anthropic; the library is imported by `prepare`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._made: anthropic.AsyncAnthropic | None = None

    def prepare(self) -> None:
        """Import the library, and make the client."""
        self._made = self._client()

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the tool's input as JSON text, or what was said instead."""
        import anthropic  # noqa: PLC0415  # 78 MB: only who asks pays

        client = self._made or self._client()
        self._made = client
        try:
            answer = await client.messages.create(**self._request(prompt))
        except anthropic.APIStatusError as error:
            raise of_status(error.status_code, error.response.headers) from None
        except anthropic.APITimeoutError:
            raise ProviderFault("too slow") from None
        except anthropic.APIConnectionError:
            raise ProviderFault("unavailable", "no connection") from None
        except (anthropic.AnthropicError, ValueError, TypeError, AttributeError) as error:
            raise ProviderFault("unreadable", type(error).__name__) from None
        return _read(answer, self.place.model)

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.close()

    def _client(self) -> "anthropic.AsyncAnthropic":
        import anthropic  # noqa: PLC0415

        return anthropic.AsyncAnthropic(
            api_key=self.place.secret,
            base_url=self.place.base_url,
            timeout=self.place.timeout_s,
            max_retries=0,
        )

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.place.model,
            "system": prompt.system,
            "messages": [{"role": role, "content": text} for role, text in prompt.turns],
            "max_tokens": prompt.max_tokens,
        }
        if self.place.structured == "schema":
            about = "Give the verdict on the event."
            request["tools"] = [{"name": _TOOL, "description": about, "input_schema": dict(prompt.schema)}]
            request["tool_choice"] = {"type": "tool", "name": _TOOL}
        return request


def _read(answer: Any, model: str) -> Completion:
    blocks = getattr(answer, "content", None)
    if not isinstance(blocks, list):
        raise ProviderFault("unreadable", "no content")
    if answer.stop_reason == "max_tokens":
        raise ProviderFault("truncated", "the answer reached llm.max_tokens")
    if answer.stop_reason == "refusal":
        raise ProviderFault("blocked", "the model refused")
    used = [block for block in blocks if block.type == "tool_use"]
    said = "".join(block.text for block in blocks if block.type == "text")
    text = json.dumps(used[0].input) if used else said
    return Completion(
        text,
        answer.model if isinstance(answer.model, str) else model,
        int(getattr(answer.usage, "input_tokens", 0) or 0),
        int(getattr(answer.usage, "output_tokens", 0) or 0),
    )

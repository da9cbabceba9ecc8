# SPDX-License-Identifier: Apache-2.0
"""Every provider that speaks OpenAI's chat completions: which one is a row of data, see `rows`."""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from habitus_llm_gateway.providers import Completion, Place, Prompt, ProviderFault
from habitus_llm_gateway.providers.faults import of_status
from habitus_llm_gateway.providers.rows import ROWS, Row
from habitus_llm_gateway.providers.web import TooLong, Web, whole

if TYPE_CHECKING:
    import aiohttp

_LONGEST: Final = 65_536
"""Characters of a streamed answer: a server that never ends must not fill the memory."""
_DATA: Final = b"data:"
_OK: Final = 200


class OpenAiProvider:
    """Asks by one POST: the official client would take as much processor time as all else of a question."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.base_url = place.base_url
        self._row = ROWS.get(place.kind, Row())
        self._web = Web()

    @property
    def address(self) -> str:
        """Where completions are asked for."""
        return f"{(self.base_url or '').rstrip('/')}/chat/completions"

    @property
    def headers(self) -> dict[str, str]:
        """What the wire wants besides the body."""
        key = {"Authorization": f"Bearer {self.place.secret}"} if self.place.secret else {}
        return {"Content-Type": "application/json", **key}

    def prepare(self) -> None:
        """Import the library of the wire."""
        self._web.prepare()

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the first choice's text."""
        import aiohttp  # noqa: PLC0415

        try:
            body = msgspec.json.encode(self._request(prompt))
            async with self._web.post(self.address, body, self.headers) as answer:
                if answer.status != _OK:
                    raise of_status(answer.status, answer.headers)
                if self.place.settings.stream:
                    return await _streamed(answer, self.place.model)
                said = await whole(answer)
            return _read(msgspec.json.decode(said), self.place.model)
        except TooLong:
            raise ProviderFault("unreadable", "the answer does not end") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            raise ProviderFault("unavailable", "no connection") from None
        except (aiohttp.ClientError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ProviderFault("unreadable", type(error).__name__) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        turns = [{"role": role, "content": text} for role, text in prompt.turns]
        request: dict[str, Any] = {
            "model": self.place.model,
            "messages": [{"role": "system", "content": prompt.system}, *turns],
            self._row.tokens: prompt.max_tokens,
        }
        if self._row.tokens == "max_tokens":
            request["temperature"] = 0  # OpenAI's own reasoning models refuse any but their default
        form: dict[str, Any] = {}
        if self.place.structured == "schema":
            schema = {"name": "verdict", "strict": True, "schema": prompt.schema}
            form = {"type": "json_schema", "json_schema": schema}
        elif self.place.structured == "object":
            form = {"type": "json_object"}
        if form:
            request["response_format"] = form
        if self.place.settings.stream:
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        return request


def _read(answer: Any, model: str) -> Completion:
    # Servers that only resemble OpenAI's send nulls, or a page of HTML with status 200, at any place.
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not choices:
        raise ProviderFault("unreadable", "no choices")
    message = choices[0].get("message") or {}
    finish, text = choices[0].get("finish_reason"), message.get("content")
    return _completed(
        finish, message.get("refusal"), text, answer.get("model") or model, answer.get("usage") or {}
    )


async def _streamed(answer: "aiohttp.ClientResponse", model: str) -> Completion:
    """Put an answer together that comes in pieces, as server-sent events of one line each."""
    parts: list[str] = []
    finish = refusal = None
    usage: dict[str, Any] = {}
    length = 0
    async for line in answer.content:
        if not line.startswith(_DATA):
            continue
        data = line[len(_DATA) :].strip()
        if data == b"[DONE]":
            break
        chunk = msgspec.json.decode(data)
        if "choices" not in chunk:
            raise ProviderFault("unreadable", "no choices")
        model, usage = chunk.get("model") or model, chunk.get("usage") or usage
        for choice in (chunk["choices"] or [])[:1]:
            delta = choice.get("delta") or {}
            finish, refusal = choice.get("finish_reason") or finish, delta.get("refusal") or refusal
            parts.append(delta.get("content") or "")
            length += len(parts[-1])
        if length > _LONGEST:
            raise ProviderFault("truncated", f"more than {_LONGEST} characters")
    if finish is None:
        raise ProviderFault("unavailable", "the stream ended early")
    return _completed(finish, refusal, "".join(parts), model, usage)


def _completed(finish: Any, refusal: Any, text: Any, model: Any, usage: dict[str, Any]) -> Completion:
    if finish == "length":
        raise ProviderFault("truncated", "the answer reached llm.max_tokens")
    if finish == "content_filter" or refusal:
        raise ProviderFault("blocked", "the provider's own filter")
    if not isinstance(text, str):
        raise ProviderFault("unreadable", "no text")
    return Completion(
        text,
        str(model),
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
    )

# SPDX-License-Identifier: Apache-2.0
"""Every provider that speaks OpenAI's chat completions: which one is a row of data, see `rows`."""

from typing import TYPE_CHECKING, Any, Final

from habitus_llm_gateway.providers import Completion, Place, Prompt, ProviderFault
from habitus_llm_gateway.providers.faults import of_status
from habitus_llm_gateway.providers.rows import ROWS, Row

if TYPE_CHECKING:
    import openai

_LONGEST: Final = 65_536
"""Characters of a streamed answer: a server that never ends must not fill the memory."""


class OpenAiProvider:
    """Asks over OpenAI's own client library, which is imported by `prepare`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.base_url = place.base_url
        self._row = ROWS.get(place.kind, Row())
        self._made: openai.AsyncOpenAI | None = None

    def prepare(self) -> None:
        """Import the library, and make the client: both take a while."""
        self._made = self.client()

    def client(self) -> "openai.AsyncOpenAI":
        """Return a new client; retries are ours."""
        import openai  # noqa: PLC0415  # 53 MB: only who asks pays

        # A server that asks for no key is given a word: the library would else look for one itself.
        key = self.place.secret or "none"
        return openai.AsyncOpenAI(
            api_key=key,
            base_url=self.base_url,
            timeout=self.place.timeout_s,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(),  # half of httpx's processor time
        )

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the first choice's text."""
        import openai  # noqa: PLC0415

        client = self._made or self.client()
        self._made = client
        request = self._request(prompt)
        try:
            if self.place.settings.stream:
                return await _streamed(client, request, self.place.model)
            # The client's own door for any body: typed parameters and models would take twice our own time.
            said = await client.post("/chat/completions", cast_to=object, body=request)
            return _read(said, self.place.model)
        except openai.APIStatusError as error:
            raise of_status(error.status_code, error.response.headers) from None
        except openai.APITimeoutError as error:
            if _timed_out(error):
                raise ProviderFault("too slow") from None
            raise ProviderFault("unavailable", "no connection") from None
        except openai.APIConnectionError:
            raise ProviderFault("unavailable", "no connection") from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise ProviderFault("unreadable", type(error).__name__) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.close()

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


def _timed_out(error: BaseException | None) -> bool:
    """Tell whether a time limit passed: the library's aiohttp transport calls a lost connection one too."""
    while error is not None:
        if isinstance(error, TimeoutError):
            return True
        error = error.__cause__
    return False


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


async def _streamed(client: "openai.AsyncOpenAI", request: dict[str, Any], model: str) -> Completion:
    """Ask for a stream and put it together."""
    parts: list[str] = []
    finish = refusal = usage = None
    async with await client.chat.completions.create(**request) as chunks:
        async for chunk in chunks:
            model, usage = chunk.model or model, chunk.usage or usage
            for choice in (chunk.choices or [])[:1]:
                finish = choice.finish_reason or finish
                refusal = getattr(choice.delta, "refusal", None) or refusal
                parts.append(getattr(choice.delta, "content", None) or "")
            if sum(map(len, parts)) > _LONGEST:
                raise ProviderFault("truncated", f"more than {_LONGEST} characters")
    if finish is None:
        raise ProviderFault("unavailable", "the stream ended early")
    return _completed(finish, refusal, "".join(parts), model, usage.model_dump() if usage else {})


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

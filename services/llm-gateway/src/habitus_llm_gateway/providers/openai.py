# SPDX-License-Identifier: Apache-2.0
"""Every provider that speaks OpenAI's chat completions: which one is a row of data, see `rows`."""

from typing import TYPE_CHECKING, Any

from habitus_llm_gateway.providers import Completion, Place, Prompt, ProviderFault
from habitus_llm_gateway.providers.faults import of_status
from habitus_llm_gateway.providers.rows import ROWS, Row

if TYPE_CHECKING:
    import openai


class OpenAiProvider:
    """Asks over OpenAI's own client library, which is imported by `prepare`."""

    def __init__(self, place: Place) -> None:
        self.place = place
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
            api_key=key, base_url=self.place.base_url, timeout=self.place.timeout_s, max_retries=0
        )

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the first choice's text."""
        import openai  # noqa: PLC0415

        client = self._made or self.client()
        self._made = client
        try:
            answer = await client.chat.completions.create(**self._request(prompt))
        except openai.APIStatusError as error:
            raise of_status(error.status_code, error.response.headers) from None
        except openai.APITimeoutError:
            raise ProviderFault("too slow") from None
        except openai.APIConnectionError:
            raise ProviderFault("unavailable", "no connection") from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise ProviderFault("unreadable", type(error).__name__) from None
        return _read(answer, self.place.model)

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
            # The same on the wire; the library walks through typed parameters, a third of its time.
            request["extra_body"] = {"response_format": form}
        return request


def _read(answer: Any, model: str) -> Completion:
    # Servers that only resemble OpenAI's send nulls, or a page of HTML with status 200, at any place.
    choices = getattr(answer, "choices", None)
    if not choices:
        raise ProviderFault("unreadable", "no choices")
    choice = choices[0]
    if choice.finish_reason == "length":
        raise ProviderFault("truncated", "the answer reached llm.max_tokens")
    text = getattr(choice.message, "content", None)
    if choice.finish_reason == "content_filter" or getattr(choice.message, "refusal", None):
        raise ProviderFault("blocked", "the provider's own filter")
    if not isinstance(text, str):
        raise ProviderFault("unreadable", "no text")
    usage = answer.usage
    return Completion(
        text,
        answer.model if isinstance(answer.model, str) else model,
        int(getattr(usage, "prompt_tokens", 0) or 0),
        int(getattr(usage, "completion_tokens", 0) or 0),
    )

# SPDX-License-Identifier: Apache-2.0
"""Google's Gemini, over its own client library; JSON by `responseJsonSchema`."""

from typing import TYPE_CHECKING, Any, Final

from habitus_llm_gateway.providers import Completion, Place, Prompt, ProviderFault
from habitus_llm_gateway.providers.faults import of_status

if TYPE_CHECKING:
    import httpx
    from google import genai

_BLOCKED: Final = {"SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "RECITATION"}
_BAD_KEY: Final = "API_KEY_INVALID"
_BAD_REQUEST: Final = 400


class GeminiProvider:
    """Asks Gemini; the library is imported by `prepare`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._made: genai.Client | None = None
        self._connections: httpx.AsyncClient | None = None

    def prepare(self) -> None:
        """Import the library, and make the client."""
        self._client()

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the first candidate's text."""
        from google.genai import errors  # noqa: PLC0415  # 72 MB: only who asks pays

        client = self._client()
        try:
            answer = await client.aio.models.generate_content(**self._request(prompt))
        except errors.APIError as error:
            raise _fault(error) from None
        except Exception as error:  # noqa: BLE001  # told apart by name: it brings httpx or httpx2
            raise _client_fault(error) from None
        return _read(answer, self.place.model)

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.aio.aclose()
        if self._connections is not None:
            await self._connections.aclose()

    def _client(self) -> "genai.Client":
        if self._made is None:
            import httpx  # noqa: PLC0415
            from google import genai  # noqa: PLC0415
            from google.genai import types  # noqa: PLC0415

            # Its own client, or the library takes aiohttp where that is installed, by a class that warns.
            self._connections = httpx.AsyncClient(timeout=self.place.timeout_s)
            options = types.HttpOptions(
                base_url=self.place.base_url,
                httpx_async_client=self._connections,
                timeout=round(self.place.timeout_s * 1000),
                retry_options=types.HttpRetryOptions(attempts=1),
            )
            self._made = genai.Client(api_key=self.place.secret, vertexai=False, http_options=options)
        return self._made

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        config: dict[str, Any] = {
            "system_instruction": prompt.system,
            "temperature": 0,
            "max_output_tokens": prompt.max_tokens,
        }
        if self.place.structured != "none":
            config["response_mime_type"] = "application/json"
        if self.place.structured == "schema":
            config["response_json_schema"] = dict(prompt.schema)
        names = {"user": "user", "assistant": "model"}
        contents = [{"role": names[role], "parts": [{"text": text}]} for role, text in prompt.turns]
        return {"model": self.place.model, "contents": contents, "config": config}


def _client_fault(error: Exception) -> ProviderFault:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "TimeoutException" in kinds:
        return ProviderFault("too slow")
    if "TransportError" in kinds:
        return ProviderFault("unavailable", "no connection")
    return ProviderFault("unreadable", type(error).__name__)


def _fault(error: Any) -> ProviderFault:
    headers = {key.lower(): value for key, value in getattr(error.response, "headers", {}).items()}
    status = error.code if isinstance(error.code, int) else 0
    if status == _BAD_REQUEST and _BAD_KEY in str(error.details):
        return ProviderFault("key refused", f"HTTP {status}")
    return of_status(status, headers)


def _read(answer: Any, model: str) -> Completion:
    candidates = answer.candidates
    if not candidates:
        raise ProviderFault("blocked" if answer.prompt_feedback else "unreadable", "no candidates")
    reason = getattr(candidates[0].finish_reason, "name", "")
    if reason == "MAX_TOKENS":
        raise ProviderFault("truncated", "the answer reached llm.max_tokens")
    if reason in _BLOCKED:
        raise ProviderFault("blocked", "the provider's own filter")
    parts = getattr(candidates[0].content, "parts", None) or []
    text = "".join(part.text or "" for part in parts if not getattr(part, "thought", False))
    usage = answer.usage_metadata
    return Completion(
        text,
        answer.model_version or model,
        int(getattr(usage, "prompt_token_count", 0) or 0),
        int(getattr(usage, "candidates_token_count", 0) or 0),
    )

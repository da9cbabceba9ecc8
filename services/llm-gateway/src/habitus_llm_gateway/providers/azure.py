# SPDX-License-Identifier: Apache-2.0
"""Azure OpenAI: OpenAI's wire behind deployments, a header for the key and dated API versions."""

from typing import TYPE_CHECKING, Final

from habitus.plugins import PluginFault
from habitus_llm_gateway.providers import Place
from habitus_llm_gateway.providers.openai import OpenAiProvider

if TYPE_CHECKING:
    import openai

_API_VERSION: Final = "2024-10-21"


class AzureProvider(OpenAiProvider):
    """`base_url` is the resource's endpoint, `model` the deployment."""

    def __init__(self, place: Place) -> None:
        if not place.base_url:
            raise PluginFault(f"provider {place.name!r} needs its resource's endpoint: HABITUS_LLM_BASE_URL")
        super().__init__(place)

    def client(self) -> "openai.AsyncOpenAI":
        """Return a client for Azure's addresses."""
        import openai  # noqa: PLC0415

        return openai.AsyncAzureOpenAI(
            azure_endpoint=self.place.base_url or "",
            api_key=self.place.secret,
            api_version=self.place.settings.api_version or _API_VERSION,
            timeout=self.place.timeout_s,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(),
        )

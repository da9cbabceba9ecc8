# SPDX-License-Identifier: Apache-2.0
"""Azure OpenAI: OpenAI's wire behind deployments, a header for the key and dated API versions."""

from typing import Final
from urllib.parse import quote

from habitus.plugins import PluginFault
from habitus_llm_gateway.providers import Place
from habitus_llm_gateway.providers.openai import OpenAiProvider

_API_VERSION: Final = "2024-10-21"


class AzureProvider(OpenAiProvider):
    """`base_url` is the resource's endpoint, `model` the deployment."""

    def __init__(self, place: Place) -> None:
        if not place.base_url:
            raise PluginFault(f"provider {place.name!r} needs its resource's endpoint: HABITUS_LLM_BASE_URL")
        super().__init__(place)

    @property
    def address(self) -> str:
        """Where the deployment's completions are asked for."""
        endpoint = (self.base_url or "").rstrip("/")
        version = quote(self.place.settings.api_version or _API_VERSION, safe="")
        deployment = quote(self.place.model, safe="")
        return f"{endpoint}/openai/deployments/{deployment}/chat/completions?api-version={version}"

    @property
    def headers(self) -> dict[str, str]:
        """The key has a header of its own."""
        return {"Content-Type": "application/json", "api-key": self.place.secret}

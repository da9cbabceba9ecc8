# SPDX-License-Identifier: Apache-2.0
"""What a provider of language models must offer, and how the one that a setting names is found.

A third party installs a package with an entry point in the group `habitus.providers` that names a
callable taking `habitus.settings.LlmSettings` and returning a `Provider`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from habitus.judging import JudgeReply, JudgeRequest
from habitus.plugins import load
from habitus.settings import LlmSettings

GROUP: Final = "habitus.providers"


class ProviderFault(RuntimeError):
    """A provider that cannot answer; the text reaches a person, so it must hold no secret."""


@dataclass(frozen=True)
class Prompt:
    """What a provider is asked. Every field of the request may be written by an attacker."""

    request: JudgeRequest


class Provider(Protocol):
    """One provider. It may raise or hang: the gateway then abstains."""

    name: str

    async def judge(self, prompt: Prompt) -> JudgeReply:
        """Return one verdict.

        Raises:
            ProviderFault: why there is none, in words that a person may read.
        """
        ...


ProviderFactory = Callable[[LlmSettings], Provider]


def chosen(settings: LlmSettings) -> Provider | None:
    """Return the provider that the setting `llm.provider` names, or None when it names none.

    Raises:
        PluginFault: no such provider is installed, or its import failed.
    """
    if settings.provider is None:
        return None
    factory: ProviderFactory = load(GROUP, settings.provider)
    return factory(settings)

# SPDX-License-Identifier: Apache-2.0
"""What a provider of language models must offer, and how those that the settings name are found.

A third party installs a package with an entry point in the group `habitus.providers` that names a
callable taking a `Place` and returning a `Provider`. Only the configured ones are imported, and
each imports its client library in `prepare`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from pydantic import SecretStr

from habitus.keys import read_key
from habitus.llm_settings import LlmSettings, ProviderSettings
from habitus.plugins import PluginFault, find, load
from habitus_llm_gateway.providers.rows import ROWS, Row

GROUP: Final = "habitus.providers"

Style = Literal["full", "small"]

Fault = Literal[
    "key refused", "no such model", "rate limited", "unavailable", "too slow", "refused the question",
    "blocked", "truncated", "unreadable",
]  # fmt: skip
LASTING: Final[frozenset[Fault]] = frozenset({"key refused", "no such model"})
"""Faults that no second attempt mends: the circuit opens at once."""
PASSING: Final[frozenset[Fault]] = frozenset({"rate limited", "unavailable", "too slow"})
"""Faults that a later attempt may not meet."""


class ProviderFault(RuntimeError):
    """A provider that cannot answer; the text reaches a person, so it must hold no secret.

    Args:
        fault: which kind it is.
        detail: in words of ours: a client library's own text may hold a key or a URL that does.
        retry_after_s: when the provider said that it may be asked again.
    """

    def __init__(self, fault: Fault, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(f"{fault}: {detail}" if detail else fault)
        self.fault: Fault = fault
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Prompt:
    """What a provider is asked.

    Attributes:
        system: our own instructions.
        turns: (role, text), alternating, the first and the last by the user. They hold fenced data.
        schema: JSON Schema of the answer.
        style: which of our prompts this is; `small` wants one word, and `answer.ShortAnswer` of the provider.
        max_tokens: of the answer.
        repair: turns what is wrong with an answer into the turn that asks once more.
        usual_known: whether the question shows what is usual; without it a small model leans to `benign`.
    """

    system: str
    turns: tuple[tuple[Literal["user", "assistant"], str], ...]
    schema: Mapping[str, Any]
    max_tokens: int
    repair: Callable[[str], str]
    style: Style = "full"
    usual_known: bool = True


@dataclass(frozen=True)
class Completion:
    """What a provider said: its text as it came, the model that it names, the tokens that it counted."""

    text: str
    model: str
    tokens_in: int
    tokens_out: int


class Provider(Protocol):
    """One provider. It may raise or hang: the gateway then asks the next one, or abstains."""

    def prepare(self) -> None:
        """Import what is heavy. Called once, in a thread of its own, before the first question."""
        ...

    async def complete(self, prompt: Prompt) -> Completion:
        """Return one completion.

        Raises:
            ProviderFault: why there is none, in words that a person may read.
        """
        ...

    async def close(self) -> None:
        """Give back connections or memory."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a provider is and how it is asked: the settings, completed by its kind's row."""

    name: str
    kind: str
    model: str
    base_url: str | None
    key: SecretStr | None
    timeout_s: float
    structured: Literal["schema", "object", "none"]
    style: Style = "full"
    settings: ProviderSettings = field(default_factory=ProviderSettings)

    @property
    def secret(self) -> str:
        """The key itself; handed to the client library and to nothing else."""
        return self.key.get_secret_value() if self.key else ""


ProviderFactory = Callable[[Place], Provider]


def place_of(name: str, settings: LlmSettings) -> Place:
    """Return what the settings say of the provider `name`.

    Raises:
        PluginFault: no model or no key is named, or the key's file cannot be read.
    """
    own = settings.providers.get(name, ProviderSettings())
    if name == settings.provider:
        common = {key: getattr(settings, key) for key in ("model", "base_url", "key_file")}
        own = own.model_copy(update={key: getattr(own, key) or value for key, value in common.items()})
    kind = own.kind or name
    row = ROWS.get(kind, Row())
    model = own.model or row.model
    if not model:
        find(GROUP, kind)  # a name that is mistyped needs no model
        raise PluginFault(f"provider {name!r} needs a model: HABITUS_LLM_MODEL or llm.providers.{name}.model")
    return Place(
        name=name,
        kind=kind,
        model=model,
        base_url=own.base_url or row.base_url,
        key=_key(name, own, row),
        timeout_s=settings.attempt_s(name),
        structured=own.structured or row.structured,
        style=own.prompt or row.prompt if kind == "local" else row.prompt,
        settings=own,
    )


def built(place: Place) -> Provider:
    """Import the plugin of a place and return the provider.

    Raises:
        PluginFault: no such plugin is installed, or it cannot start.
    """
    factory: ProviderFactory = load(GROUP, place.kind)
    try:
        return factory(place)
    except PluginFault:
        raise
    except Exception as error:  # noqa: BLE001  # a plugin: whatever it raises stops the start in one line
        # Only the kind of error: its text may hold the key.
        raise PluginFault(f"provider {place.name!r} cannot start: {type(error).__name__}") from None


def _key(name: str, own: ProviderSettings, row: Row) -> SecretStr | None:
    variable = own.key_env or row.key_env
    key = read_key(f"provider {name!r}", own.key_file, variable)
    if key is None and (row.needs_key or own.key_env):
        raise PluginFault(f"provider {name!r} needs a key: llm.key_file, or the variable {variable}")
    return key

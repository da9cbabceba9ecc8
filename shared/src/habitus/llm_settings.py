# SPDX-License-Identifier: Apache-2.0
"""The settings of the language model gateway: which provider judges, and within which limits."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from habitus.sections import Names, Section

_ATTEMPT_S: Final = 20.0
_LOCAL_ATTEMPT_S: Final = 120.0
"""A model on the processor reads a question in tens of seconds."""
_ATTEMPTS: Final = 2.5


class ProviderSettings(Section):
    """One provider: a table `[llm.providers.<name>]`; keys left out are the kind's own."""

    kind: str | None = Field(default=None, description="plugin of group habitus.providers; the table's name")
    model: str | None = Field(
        default=None, description="model, or Azure's deployment; for `local` a GGUF file"
    )
    base_url: str | None = Field(default=None, description="where it is, or the kind's own address")
    key_file: Path | None = Field(default=None, description="file that holds the key")
    key_env: str | None = Field(default=None, description="environment variable that holds the key")
    timeout_s: float | None = Field(default=None, gt=0, description="one attempt; llm.timeout_s")
    stream: bool = Field(default=False, description="ask for a stream: for servers that give nothing else")
    retries: int = Field(default=2, ge=0, le=10, description="further attempts at what may pass")
    requests_per_minute: float | None = Field(default=None, gt=0, description="None: no limit of ours")
    structured: Literal["schema", "object", "none"] | None = Field(
        default=None, description="how JSON is asked for; None: the kind's best"
    )
    usd_in: float | None = Field(default=None, ge=0, description="US dollars a million tokens of questions")
    usd_out: float | None = Field(default=None, ge=0, description="US dollars a million tokens of answers")
    api_version: str | None = Field(default=None, description="of Azure OpenAI")
    prompt: Literal["full", "small"] | None = Field(
        default=None, description="of `local`: `small`, the default, decides by one word; `full` writes all"
    )
    threads: int = Field(default=1, ge=1, description="of `local`")
    context: int = Field(default=8192, ge=1024, description="of `local`, in tokens")


class LlmSettings(Section):
    """Which provider judges. None: the engine abstains and alerts say so."""

    provider: str | None = Field(
        default=None, description="a table of `providers`, or a plugin of group habitus.providers"
    )
    fallback: Names = Field(default=[], description="asked in this order when `provider` has no answer")
    model: str | None = Field(default=None, description="of `provider`, when its table names none")
    base_url: str | None = Field(default=None, description="the same")
    key_file: Path | None = Field(default=None, description="the same; else the kind's own variable")
    providers: dict[str, ProviderSettings] = Field(
        default={},
        description="tables by name: kind, model, base_url, key_file, key_env, timeout_s, retries, "
        "requests_per_minute, structured, stream, usd_in, usd_out, api_version, prompt, threads, context",
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8602, ge=0, le=65535, description="HTTP; 0 takes a free one")
    timeout_s: float | None = Field(
        default=None, gt=0, description="one attempt at one provider; None: 20, and 120 for `local`"
    )
    deadline_s: float | None = Field(
        default=None, gt=0, description="one question, all attempts together; None: 2.5 attempts"
    )
    concurrency: int = Field(default=256, ge=1, description="distinct questions under way at most")
    max_tokens: int = Field(default=700, ge=64, description="of one answer")
    language: Literal["en", "zh"] = Field(default="en", description="of the prompt; answers have both")
    prompts: Path | None = Field(default=None, description="folder of *.j2 that stand in for our own")
    cache: int = Field(default=4096, ge=0, description="verdicts kept in memory; 0: none")
    cache_s: float = Field(default=86_400, gt=0, description="a verdict is asked anew after this")
    usd_per_day: float | None = Field(
        default=None, gt=0, description="spend at most, by UTC day; None: no limit"
    )
    tokens_per_day: int | None = Field(default=None, gt=0, description="the same in tokens")
    state: Path | None = Field(default=None, description="file that keeps the day's spend over a restart")
    breaker_failures: int = Field(default=5, ge=1, description="failures in a row that open the circuit")
    breaker_s: float = Field(default=30, gt=0, description="an open circuit is tried again after this")
    reveal_token_file: Path | None = Field(
        default=None, description="holds the token that reads redacted secrets back; None: nobody can"
    )

    def attempt_s(self, name: str) -> float:
        """Return the seconds that one attempt at the provider `name` may take."""
        own = self.providers.get(name, ProviderSettings())
        usual = _LOCAL_ATTEMPT_S if (own.kind or name) == "local" else _ATTEMPT_S
        return own.timeout_s or self.timeout_s or usual

    @property
    def patience_s(self) -> float:
        """Seconds after which a question has its verdict or an abstention, whoever was asked."""
        names = [name for name in (self.provider, *self.fallback) if name]
        longest = max(map(self.attempt_s, names), default=_ATTEMPT_S)
        return self.deadline_s or _ATTEMPTS * longest

# SPDX-License-Identifier: Apache-2.0
"""The question to the LLM gateway and its answer, on NATS (`habitus.llm.judge`) and on HTTP alike."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from habitus.languages import Bilingual

Verdict = Literal["malicious", "suspicious", "benign", "unsure"]

INJECTION: Final = "injection-suspected"
"""Flag of a reply: the data tried to speak to the model, and the model may have listened."""


class Near(BaseModel):
    """A known habit near to the departure, and its cosine."""

    model_config = ConfigDict(extra="forbid")

    text: str
    cosine: float


class JudgeRequest(BaseModel):
    """One departure as structured fields; every one of them may be written by an attacker.

    Attributes:
        image: the image, as a person names it.
        profile, revision: the profile that does not contain the event. With the event's normal form
            they are the key under which a verdict is kept.
        reason, path, detail: what departed, in the profile's words.
        event: the event, in the interchange format.
        related: further events of the same incident.
        labels: of the Pod.
        usual: known siblings; `nearest`: known habits nearest to it.
        findings: what rules and clusters said.
    """

    model_config = ConfigDict(extra="forbid")

    image: str
    reason: str
    profile: str = ""
    revision: int = 0
    path: list[str] = []
    detail: str = ""
    event: dict[str, Any] = {}
    related: list[dict[str, Any]] = []
    labels: dict[str, str] = {}
    usual: list[str] = []
    nearest: list[Near] = []
    findings: list[str] = []


class JudgeReply(BaseModel):
    """One verdict. `abstained` with a `note` when no provider could be asked.

    Attributes:
        techniques: ids of MITRE ATT&CK, the likeliest first.
        action: what to do, as one word; `advice` says the same to a person.
        flags: `injection-suspected` (see INJECTION), `instructions-in-data`, `cached`, `coalesced`,
            `repaired`, `cut`.
        redaction: number under which redacted secrets can be read back; empty: nothing to read.
        tokens: of question and answer together, over all attempts; cost: US dollars.
        latency_ms: from question to answer, waiting included.
        prompt, answer: the question as it left, secrets redacted, cut, and the answer; for the evidence of an
            alert. The instructions before the question are those of `prompt_version`.
    """

    abstained: bool = False
    note: str = ""
    verdict: Verdict = "unsure"
    confidence: float = Field(default=0.0, ge=0, le=1)
    category: str | None = None
    techniques: list[str] = []
    explanation: Bilingual | None = None
    action: str | None = None
    advice: Bilingual | None = None
    flags: list[str] = []
    redaction: str = ""
    provider: str | None = None
    model: str | None = None
    prompt_version: str | None = None
    tokens: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    latency_ms: float = 0.0
    prompt: str = ""
    answer: str = ""

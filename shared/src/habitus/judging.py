# SPDX-License-Identifier: Apache-2.0
"""The question to the LLM gateway and its answer, on NATS (`habitus.llm.judge`) and on HTTP alike."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from habitus.languages import Bilingual

Verdict = Literal["malicious", "suspicious", "benign", "unsure"]


class JudgeRequest(BaseModel):
    """One departure as structured fields; every one of them may be written by an attacker."""

    model_config = ConfigDict(extra="forbid")

    image: str
    reason: str
    path: list[str] = []
    detail: str = ""
    event: dict[str, Any] = {}
    usual: list[str] = []
    findings: list[str] = []


class JudgeReply(BaseModel):
    """One verdict. `abstained` with a `note` when no provider could be asked."""

    abstained: bool = False
    note: str = ""
    verdict: Verdict = "unsure"
    confidence: float = Field(default=0.0, ge=0, le=1)
    category: str | None = None
    techniques: list[str] = []
    explanation: Bilingual | None = None
    action: str | None = None
    provider: str | None = None
    model: str | None = None
    prompt_version: str | None = None
    tokens: int = 0
    cost: float = 0.0
    latency_ms: float = 0.0

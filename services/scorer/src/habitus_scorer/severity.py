# SPDX-License-Identifier: Apache-2.0
"""From a total to a severity, and which finding speaks for an anomaly."""

from collections.abc import Iterator, Mapping
from typing import Final

from habitus.alerts import Severity
from habitus.engines import EngineScore, Finding
from habitus_scorer.rules_model import LEVELS

_FLOORS: Final = ((90, Severity.CRITICAL), (70, Severity.HIGH), (40, Severity.MEDIUM), (20, Severity.LOW))
MODEL: Final = "llm"
"""The engine that gives a language model's word."""


def severity_of(score: float, engines: Mapping[str, EngineScore]) -> Severity:
    """Return the severity of a total of 0 … 100.

    Critical needs a finding of level critical (a rule's, or a model that says malicious): a high
    total alone may only mean that few engines voted.
    """
    severity = next((name for floor, name in _FLOORS if score >= floor), Severity.INFO)
    if severity is Severity.CRITICAL and not any(
        finding.level == "critical" for _, finding in _findings(engines)
    ):
        return Severity.HIGH
    return severity


def speaking(engines: Mapping[str, EngineScore]) -> Finding | None:
    """Return the finding that names the alert: the highest level of the engines other than the model."""
    found = [finding for name, finding in _findings(engines) if name != MODEL]
    return max(found, key=_rank, default=None)


def techniques(engines: Mapping[str, EngineScore]) -> list[str]:
    """Return the ATT&CK techniques of every finding, each once, in order."""
    return list(dict.fromkeys(name for _, finding in _findings(engines) for name in finding.techniques))


def _findings(engines: Mapping[str, EngineScore]) -> Iterator[tuple[str, Finding]]:
    for name, score in engines.items():
        if not score.abstained:
            yield from ((name, finding) for finding in score.findings)


def _rank(finding: Finding) -> int:
    return LEVELS.index(finding.level) if finding.level in LEVELS else LEVELS.index("medium")

# SPDX-License-Identifier: Apache-2.0
"""Answers `habitus.guard`: which of the things that are about to be learned do high-confidence rules hit?"""

from typing import Final

from habitus.anomalies import Anomaly
from habitus.guarding import GuardReply, GuardRequest
from habitus.text import printable
from habitus.wire import WireFault, decode, encode
from habitus_scorer.panel import Panel

_ENGINE: Final = "rule"
_SURE: Final = frozenset({"high", "critical"})
"""Levels of rules that keep a behaviour out of a profile."""


class _Undecided(RuntimeError):
    """The engine gave no answer: the profiler is to ask again."""


class Guard:
    """The rule engine of the panel, asked before the profiler learns."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    async def answer(self, data: bytes) -> bytes:
        """Return the reply to one request; what is wrong with it is the reply's `error`."""
        try:
            anomalies = decode(GuardRequest, data).anomalies
            rules = [await self._rule(anomaly) for anomaly in anomalies]
        except (WireFault, _Undecided) as fault:
            return encode(GuardReply(error=printable(str(fault), 300)))
        return encode(GuardReply(rules=rules))

    async def _rule(self, anomaly: Anomaly) -> str:
        score = await self._panel.ask(_ENGINE, anomaly)
        if score is None:
            return ""  # the settings name no rule engine: nothing is to be kept out
        if score.abstained:
            raise _Undecided(f"engine {_ENGINE}: {score.note}")
        return next((finding.id for finding in score.findings if finding.level in _SURE), "")

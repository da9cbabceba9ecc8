# SPDX-License-Identifier: Apache-2.0
"""The rule engine: Sigma rules over the event. Not hitting is an answer too: it never abstains."""

import logging
from importlib.resources import files
from pathlib import Path
from typing import Final

from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineServices, Finding, Score
from habitus.plugins import PluginFault
from habitus_scorer.sigma.fields import Record
from habitus_scorer.sigma.ruleset import SCALE, Rule, RuleSet

log = logging.getLogger(__name__)

SHIPPED: Final = Path(str(files("habitus_scorer"))) / "rules"
"""The folder of the rules that come with this package."""

_FURTHER: Final = 2.0
"""Points, on the rules' scale, for each rule that hits beside the weightiest."""


class RuleEngine:
    """Evaluates the shipped rules and those of the setting `scorer.rules`."""

    name = "rule"

    def __init__(self, services: EngineServices) -> None:
        self.max_points = services.max_points
        folders = [SHIPPED, *(Path(folder) for folder in services.settings.get("rules", []))]
        try:
            self.rules = RuleSet(folders)
        except FileNotFoundError as error:
            raise PluginFault(f"setting scorer.rules: {error}") from None
        for refusal in self.rules.refused:
            log.error("refused a rule: %s", refusal)
        log.info("%d rules loaded, %d refused", len(self.rules.rules), len(self.rules.refused))

    async def score(self, anomaly: Anomaly, context: Context) -> Score:
        """Return the points of the weightiest hit plus two for each further one, scaled to the weight."""
        del context
        hits = self.rules.hits(Record(anomaly))
        if not hits:
            return Score()
        further = sum(_FURTHER for rule in hits[1:] if rule.points)
        points = min(hits[0].points + further, SCALE)
        return Score(
            points=round(self.max_points * points / SCALE, 2), findings=[_finding(rule) for rule in hits]
        )


def _finding(rule: Rule) -> Finding:
    return Finding(
        id=rule.id,
        title=rule.title,
        detail=f"rule {rule.id} ({rule.level})",
        advice=rule.advice,
        level=rule.level,
        techniques=list(rule.techniques),
    )

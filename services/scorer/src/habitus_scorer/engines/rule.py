# SPDX-License-Identifier: Apache-2.0
"""The rule engine: Sigma's and Falco's rules over the event. Not hitting is an answer too: it never abstains.

The folders of the setting `scorer.rules` are looked at every second; what changed in them is in force
without a restart. What cannot be read is logged with file, line and rule, and the rest stays.
"""

import asyncio
import logging
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Final

from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineServices, Finding, Score
from habitus.plugins import PluginFault
from habitus_scorer.rules_model import SCALE, Refusal, Rule
from habitus_scorer.ruleset import RuleSet, files_of, stamp_of
from habitus_scorer.sigma.fields import Record

log = logging.getLogger(__name__)

SHIPPED: Final = Path(str(files("habitus_scorer"))) / "rules"
"""The folder of the rules that come with this package."""

EVERY_S: Final = 1.0
"""How often the user's folders are looked at."""

_FURTHER: Final = 2.0
"""Points, on the rules' scale, for each rule that hits beside the weightiest."""


class RuleEngine:
    """Evaluates the shipped rules and those of the setting `scorer.rules`."""

    name = "rule"
    waits = False

    def __init__(self, services: EngineServices) -> None:
        self.max_points = services.max_points
        self._folders = [Path(folder) for folder in services.settings.get("rules", [])]
        self._seen = _stamps(self._folders)
        try:
            self.rules = RuleSet([SHIPPED, *self._folders])
        except FileNotFoundError as error:
            raise PluginFault(f"setting scorer.rules: {error}") from None
        _tell(self.rules, ())
        self._watch: asyncio.Task[None] | None = None

    async def score(self, anomaly: Anomaly, context: Context) -> Score:
        """Return the points of the weightiest hit plus two for each further one, scaled to the weight."""
        del context
        hits = self.rules.hits(Record(anomaly))
        if not hits:
            return Score()
        further = sum(_FURTHER for rule in hits[1:] if rule.points)
        points = min(hits[0].points + further, SCALE)
        return Score(
            points=round(self.max_points * points / SCALE, 2),
            findings=[_finding(rule) for rule in hits],
            record={"rules": {rule.id: rule.version for rule in hits}},
        )

    async def run(self) -> None:
        """Follow the user's folders until cancelled; parsing happens beside the loop."""
        while self._folders:
            await asyncio.sleep(EVERY_S)
            try:
                await asyncio.to_thread(self.refresh)
            except OSError as error:
                log.error("the rules stay as they were: %s", error)  # noqa: TRY400  # one line is enough

    def refresh(self) -> bool:
        """Read anew what changed in the user's folders; say whether anything did.

        Raises:
            FileNotFoundError: a folder is gone; the rules stay as they were.
        """
        seen = _stamps(self._folders)
        if seen == self._seen:
            return False
        fresh = RuleSet([SHIPPED, *self._folders], self.rules)
        _tell(fresh, self.rules.refused)
        self.rules, self._seen = fresh, seen
        return True


def _stamps(folders: Iterable[Path]) -> dict[Path, object]:
    return {path: stamp_of(path) for folder in folders if folder.is_dir() for path in files_of(folder)}


def _tell(rules: RuleSet, told: Iterable[Refusal]) -> None:
    for refusal in set(rules.refused).difference(told):
        log.error("refused a rule: %s", refusal)
    log.info("%d rules loaded, %d refused", len(rules.rules), len(rules.refused))


def _finding(rule: Rule) -> Finding:
    return Finding(
        id=rule.id,
        title=rule.title,
        detail=f"rule {rule.id} ({rule.level})",
        advice=rule.advice,
        level=rule.level,
        techniques=list(rule.techniques),
    )

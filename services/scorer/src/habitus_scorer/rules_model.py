# SPDX-License-Identifier: Apache-2.0
"""A rule that can be evaluated, and a refusal of one that cannot: whatever format it was written in."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from habitus.languages import Bilingual
from habitus.text import printable
from habitus_scorer.needs import Condition, Needs, Predicate
from habitus_scorer.sigma.fields import Record

SCALE: Final = 40.0
"""Points of rules are written on this scale, whatever the engine's weight is."""

LEVEL_POINTS: Final = {"informational": 0.0, "low": 10.0, "medium": 20.0, "high": 30.0, "critical": 40.0}
LEVELS: Final = tuple(LEVEL_POINTS)


@dataclass(frozen=True)
class Rule:
    """One rule that can be evaluated. `points` is on the scale of 0 … 40.

    `version` is a digest of what the rule says, so that a replay knows whether it is the same rule.
    `needs` must occur in an event for the rule to hold; see `rule_index`. `ways`: it holds where one of them
    does; none where `test` is all that is known.
    `narrowed` names what the rule asks for beside and our events never are; the rest of it holds.
    """

    id: str
    title: Bilingual
    level: str
    points: float
    techniques: tuple[str, ...]
    advice: Bilingual | None
    categories: frozenset[str]
    test: Predicate
    source: Path
    needs: Needs = ()
    ways: tuple[Condition, ...] = ()
    narrowed: tuple[str, ...] = ()
    version: str = ""

    def hits(self, record: Record) -> bool:
        """Say whether the rule's log source and detection hold for `record`."""
        return (not self.categories or not self.categories.isdisjoint(record.categories)) and self.test(
            record
        )


def version_of(said: object) -> str:
    """Return 12 hex digits of what a rule says: the parsed document, or all that it is compiled from."""
    return blake2b(repr(said).encode(), digest_size=6).hexdigest()


class Refusal(NamedTuple):
    """A rule that is not used, and why, in one line."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return printable(f"{self.file}:{self.line}: {self.reason}", 400)

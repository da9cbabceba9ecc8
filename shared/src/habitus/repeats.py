# SPDX-License-Identifier: Apache-2.0
"""A decision taken again from its evidence: old and new side by side."""

from typing import Literal

from pydantic import BaseModel

from habitus.alerts import Severity
from habitus.evidence import Term

How = Literal["judged", "recorded", "asked", "left out"]


class EngineRepeat(BaseModel):
    """One engine's part, then and now.

    Attributes:
        how: `judged` again from the anomaly and the record; `recorded`: taken over, for what it depended
            on is gone; `asked` anew; `left out`: the settings do not name it (any more).
        then, now: None where it took no part.
    """

    how: How
    then: Term | None = None
    now: Term | None = None
    note: str = ""

    @property
    def same(self) -> bool:
        """Whether it gave the same."""
        return self.then == self.now


class AnomalyRepeat(BaseModel):
    """One anomaly, then and now; totals are 0 … 100."""

    anomaly_id: str
    process: str
    then: float
    now: float
    engines: dict[str, EngineRepeat]

    @property
    def same(self) -> bool:
        """Whether the total and every engine's part are the same."""
        return self.then == self.now and all(one.same for one in self.engines.values())


class Repeat(BaseModel):
    """The whole decision, the anomaly that speaks for the alert first.

    Attributes:
        told, tells: whether a person was told then, and would be told now.
        changed: rules by id that say something else now, or are gone, or are new.
    """

    alert: str
    same: bool
    severity_then: Severity
    severity_now: Severity
    told: bool
    tells: bool
    anomalies: list[AnomalyRepeat]
    changed: list[str] = []

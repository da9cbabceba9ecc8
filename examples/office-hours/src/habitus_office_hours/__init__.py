# SPDX-License-Identifier: Apache-2.0
"""An engine: a departure at an hour in which nobody works weighs more."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineServices, Finding, Score
from habitus.languages import Bilingual

_TITLE = Bilingual(en="outside working hours", zh="发生在非工作时间")


class _Settings(BaseModel):
    """The table `[scorer.engine.office-hours]`; hours are UTC."""

    model_config = ConfigDict(extra="forbid")

    start: int = Field(default=8, ge=0, le=23, alias="from")
    end: int = Field(default=18, ge=1, le=24, alias="to")
    timeout_s: float = 1.0


class OfficeHours:
    """Gives all of its points outside working hours, none inside; without a time it abstains."""

    name = "office-hours"

    def __init__(self, services: EngineServices) -> None:
        self.max_points = services.max_points
        self._settings = _Settings.model_validate(dict(services.settings))

    async def score(self, anomaly: Anomaly, context: Context) -> Score:
        """Judge by the hour of the event."""
        del context
        if anomaly.event.ts <= 0:
            return Score(abstained=True, note="the event has no time")
        moment = datetime.fromtimestamp(anomaly.event.ts / 1e9, UTC)
        if self._settings.start <= moment.hour < self._settings.end:
            return Score()
        detail = f"{moment:%H:%M} UTC"
        return Score(
            points=self.max_points,
            findings=[Finding(id="office-hours/outside", title=_TITLE, detail=detail, level="low")],
        )

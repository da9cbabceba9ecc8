# SPDX-License-Identifier: Apache-2.0
"""What the profile itself says: a few points for the departure, more the surer the profile is."""

import math
from typing import Final

from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineServices, Score

# A new argument of a known program is the commonest false alarm; the other two are structural.
_WEIGHT: Final = {"unknown-path": 1.0, "novel-slot": 1.0, "unknown-argument": 0.8}
_OTHERS: Final = 1.0


class ProfileEngine:
    """Half of the points for the departure, half by the profile's confidence; no model is asked."""

    name = "profile"
    waits = False

    def __init__(self, services: EngineServices) -> None:
        self.max_points = services.max_points

    async def score(self, anomaly: Anomaly, context: Context) -> Score:
        """Return max_points × weight of the reason × (½ + ½ confidence)."""
        del context
        if not math.isfinite(anomaly.confidence):
            return Score(abstained=True, note="the profile gives no confidence")
        confidence = min(max(anomaly.confidence, 0.0), 1.0)
        share = _WEIGHT.get(anomaly.reason, _OTHERS) * (0.5 + 0.5 * confidence)
        return Score(points=round(self.max_points * share, 2), confidence=confidence)

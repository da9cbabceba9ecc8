# SPDX-License-Identifier: Apache-2.0
"""What may still come: the chance that the next event is new, and how many alerts a day that makes.

Both are given with an upper bound, because no news is weak evidence while little was seen.
"""

import math
from statistics import NormalDist
from typing import Final

DAY_S: Final = 86_400.0
CONFIDENCE: Final = 0.95
"""Of the bounds that are shown."""

_SLACK: Final = 2 * math.sqrt(2) + math.sqrt(3)


def unseen(observations: int, singletons: int) -> float:
    """Return the Good–Turing estimate N1/N of the chance that the next event is new (Good 1953)."""
    return min(1.0, singletons / observations) if observations else 1.0


def unseen_bound(observations: int, singletons: int, confidence: float = CONFIDENCE) -> float:
    """Return what that chance does not exceed, with `confidence`, for independent draws.

    McAllester and Schapire, On the Convergence Rate of Good-Turing Estimators (COLT 2000):
    N1/N + (2√2 + √3) · √(ln(3/δ) / N), δ = 1 - confidence. It holds for every distribution, and so it
    says little below some thousands of events.
    """
    if not observations:
        return 1.0
    slack = _SLACK * math.sqrt(math.log(3 / (1 - confidence)) / observations)
    return min(1.0, unseen(observations, singletons) + slack)


def a_day(count: int, seconds: float) -> float:
    """Return how many a day `count` in `seconds` are."""
    return count * DAY_S / seconds if seconds > 0 else math.inf


def at_most(count: int, confidence: float) -> float:
    """Return the mean that a Poisson count does not exceed, with `confidence` (Garwood 1936).

    Its chi-square quantile is taken by the cube of a normal one (Wilson and Hilferty 1931): within 1 %.
    """
    freedom = 2.0 * (count + 1)
    spread = 2 / (9 * freedom)
    return freedom / 2 * (1 - spread + NormalDist().inv_cdf(confidence) * math.sqrt(spread)) ** 3

# SPDX-License-Identifier: Apache-2.0
"""Figures of one run: readings by name, their medians, a table, and the file that keeps them."""

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path


class Readings:
    """Nanoseconds an operation, by (workload, subject), one a round."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, workload: str, subject: str, value: float) -> None:
        """Keep the reading of one round."""
        self._by_name[workload, subject].append(value)

    def median(self, workload: str, subject: str) -> float | None:
        """Return the median, or None when the subject was never measured."""
        values = self._by_name.get((workload, subject))
        return statistics.median(values) if values else None

    def added(self, workload: str, subject: str) -> float | None:
        """Return the median, over rounds, of what a subject adds to the unmonitored loop of its round."""
        values = self._by_name.get((workload, subject))
        base = self._by_name.get((workload, "none"))
        if not values or not base:
            return None
        return statistics.median(a - b for a, b in zip(values, base, strict=False))


def write(path: Path, figures: Mapping[str, float]) -> None:
    """Write the flat file of figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(sorted(figures.items())), indent=2) + "\n")


def table(figures: Mapping[str, float]) -> None:
    """Print the figures, one a line, aligned."""
    width = max(map(len, figures))
    for name, value in figures.items():
        digits = 2 if value >= 1 else 4
        sys.stdout.write(f"{name:<{width}}  {value:>14,.{digits}f}\n")

# SPDX-License-Identifier: Apache-2.0
"""The short table at the end of the demo, and its figures."""

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from habitus.alerts import Alert
from habitus_console import render, terminal
from habitus_console.render import safe

if TYPE_CHECKING:
    from habitus_console.demo.story import Options


@dataclass(frozen=True)
class Step:
    """One thing that should hold, and what was seen."""

    title: str
    expected: str
    seen: str
    held: bool


@dataclass
class Report:
    """All steps, the alerts, and what the run measured."""

    steps: list[Step] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    resident_mb: dict[str, float] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Whether every step held."""
        return bool(self.steps) and all(step.held for step in self.steps)

    @property
    def figures(self) -> dict[str, float]:
        """Flat figures: latency from the kernel's exec to the alert, resident memory by process."""
        latencies = sorted(alert.latency_ms for alert in self.alerts)
        figures: dict[str, float] = {"alerts": len(latencies)}
        if latencies:
            figures["exec_to_alert_p50_ms"] = round(_quantile(latencies, 0.50), 2)
            figures["exec_to_alert_p99_ms"] = round(_quantile(latencies, 0.99), 2)
        for name, size in self.resident_mb.items():
            figures[f"rss_mb.{name}"] = round(size, 1)
        return figures

    def show(self, out: Console, options: "Options", *, as_json: bool) -> None:
        """Print the alerts and the table, or one JSON object; write the figures where asked."""
        if options.figures:
            options.figures.parent.mkdir(parents=True, exist_ok=True)
            options.figures.write_text(json.dumps(self.figures, indent=2) + "\n")
        if as_json:
            steps = [step.__dict__ for step in self.steps]
            document = {"held": self.held, "steps": steps, "figures": self.figures}
            document["alerts"] = [alert.model_dump(mode="json") for alert in self.alerts]
            terminal.document(document)
            return
        for alert in self.alerts:
            out.print(render.alert(alert, options.language))
        table = Table("", "step", "expected", "seen")
        for step in self.steps:
            table.add_row("✓" if step.held else "✗", safe(step.title), safe(step.expected), safe(step.seen))
        out.print(table)
        measured = ", ".join(f"{name} {value:g}" for name, value in self.figures.items())
        out.print(safe(f"measured: {measured}", 1000))
        out.print(safe("the story held" if self.held else "the story did NOT hold"))


def _quantile(ordered: list[float], share: float) -> float:
    """Nearest-rank quantile of an ordered, non-empty list."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

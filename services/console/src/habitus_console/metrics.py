# SPDX-License-Identifier: Apache-2.0
"""What the alert store counts, in Prometheus' text format. No label holds what was observed."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from habitus.alerts import Severity
from habitus_console.store.records import Summary
from habitus_console.store.states import Status

_PREFIX: Final = "habitus_console"


class Metrics:
    """The figures of one console."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.revisions = self._counter("revisions", "revisions of alerts by what became of them", "how")
        self.decisions = self._counter("decisions", "what people did with alerts", "act", "outcome")
        self.removed = self._counter("alerts_removed", "alerts that were too old or too many")
        self._kept = Gauge(
            f"{_PREFIX}_alerts", "alerts that are kept", ("status", "severity"), registry=self.registry
        )

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", about, labels, registry=self.registry)

    def text(self, summary: Summary) -> bytes:
        """Return all of it as `/metrics` shows it."""
        for status in Status:
            for severity in Severity:
                count = summary.counts.get(status, {}).get(severity, 0)
                self._kept.labels(status, severity).set(count)
        return generate_latest(self.registry)

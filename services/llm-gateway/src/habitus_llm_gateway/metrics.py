# SPDX-License-Identifier: Apache-2.0
"""What the gateway counts, in Prometheus' text format. Labels hold only names from the settings."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_PREFIX: Final = "habitus_llm"
_SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 60)


class Metrics:
    """The figures of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.questions = self._counter("questions", "questions by how they were answered", "how")
        self.verdicts = self._counter("verdicts", "verdicts given", "verdict")
        self.flags = self._counter("flags", "replies by flag", "flag")
        self.attempts = self._counter("attempts", "attempts at providers", "provider", "outcome")
        self.tokens = self._counter("tokens", "tokens paid for", "provider", "direction")
        self.usd = self._counter("cost_usd", "US dollars paid", "provider")
        self.secrets = self._counter("secrets_redacted", "secrets taken out of questions")
        self.under_way = Gauge(
            f"{_PREFIX}_questions_under_way", "distinct questions being asked", registry=self.registry
        )
        self.seconds = self._histogram("question_seconds", "from question to answer")
        self.provider_seconds = self._histogram("provider_seconds", "one answered attempt", "provider")

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", about, labels, registry=self.registry, buckets=_SECONDS)

    def spent(self, provider: str, tokens_in: int, tokens_out: int, usd: float) -> None:
        """Count what one attempt took."""
        self.tokens.labels(provider, "in").inc(tokens_in)
        self.tokens.labels(provider, "out").inc(tokens_out)
        self.usd.labels(provider).inc(usd)

    def text(self) -> bytes:
        """Return all of it as `/metrics` shows it."""
        return generate_latest(self.registry)

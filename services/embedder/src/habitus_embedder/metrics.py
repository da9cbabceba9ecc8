# SPDX-License-Identifier: Apache-2.0
"""What the embedder counts, in Prometheus' text format. Labels hold only words of ours."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_PREFIX: Final = "habitus_embedder"
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The figures of one embedder."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "requests by how they ended", "outcome")
        self.texts = self._counter("texts", "texts by where their vector came from", "source")
        self.tokens = self._counter("tokens", "tokens that the model ran, pads left out")
        self.padding = self._counter("padding_tokens", "pads that the model ran beside them")
        self.failures = self._counter("model_failures", "runs that raised")
        self.waiting = Gauge(f"{_PREFIX}_waiting_texts", "texts that wait", registry=self.registry)
        self.seconds = Histogram(
            f"{_PREFIX}_request_seconds",
            "from request to vectors",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.steps = Histogram(
            f"{_PREFIX}_step_seconds", "one step", ["step"], registry=self.registry, buckets=_SECONDS
        )
        self.sizes = Histogram(
            f"{_PREFIX}_batch_texts", "texts a run of the model", registry=self.registry, buckets=_SIZES
        )

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", about, labels, registry=self.registry)

    def text(self) -> bytes:
        """Return all of it as `/metrics` shows it."""
        return generate_latest(self.registry)

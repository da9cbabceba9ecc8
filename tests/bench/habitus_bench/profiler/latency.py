# SPDX-License-Identifier: Apache-2.0
"""How long one verdict takes, event by event, decoded already: all kinds in turns, a fifth with new ids.

A verdict that needs a vector is not among them: it waits for the embedder.
"""

import statistics
import time
from collections.abc import Mapping
from typing import Final

from habitus import wire
from habitus_bench.profiler.streams import Source
from habitus_bench.profiler.throughput import taught

_EVENTS: Final = 20_000
_MS: Final = 1e-6


def measure(rounds: int) -> Mapping[str, float]:
    """Return the medians over rounds of the percentiles, in milliseconds."""
    source = Source(seed=2)
    profile = next(iter(taught(source).profiles.values()))
    percentiles: list[list[float]] = []
    for _ in range(rounds):
        took = []
        for batch in source.mixed(_EVENTS):
            for event in wire.decode(wire.EventBatch, batch).events:
                started = time.perf_counter_ns()
                profile.judge(event)
                took.append((time.perf_counter_ns() - started) * _MS)
        percentiles.append(statistics.quantiles(took, n=100))
    return {
        f"verdict_p{at}_ms": statistics.median(each[at - 1] for each in percentiles) for at in (50, 95, 99)
    }

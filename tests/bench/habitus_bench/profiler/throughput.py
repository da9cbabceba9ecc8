# SPDX-License-Identifier: Apache-2.0
"""Events a second and core, from the bytes of EVENTS' messages to the verdict: decoding is included.

The subjects run in turns, each round on new events; the figure is the median over rounds, by processor
time. `events_per_s_core` itself is of the mixed stream (see `Source.mixed`).
"""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Final, NamedTuple

from habitus import wire
from habitus.garbage import collect_seldom
from habitus.images import image_key, partition_of
from habitus_bench.profiler.streams import DIGEST, IMAGE, Source
from habitus_profiler.batch import Batch
from habitus_profiler.convergence import Rule
from habitus_profiler.guard import Guarding
from habitus_profiler.judgement import Limits
from habitus_profiler.partition import Partition, Services
from habitus_profiler.store import Listing
from habitus_profiler.tenure import Tenure

_EVENTS: Final = 20_000
_TAUGHT: Final = 8_000
LIMITS: Final = Limits(max_children=64, max_vectors=256, threshold=None)
RULE: Final = Rule(window_s=3600, epsilon=0, min_events=100)


class _Subject(NamedTuple):
    kinds: str
    fresh: bool


_SUBJECTS: Final = {
    "process.known": _Subject("p", fresh=False),
    "process.new_ids": _Subject("p", fresh=True),
    "file.known": _Subject("f", fresh=False),
    "file.new_ids": _Subject("f", fresh=True),
    "file.new_numbers": _Subject("d", fresh=True),
    "network.known": _Subject("n", fresh=False),
    "network.new_ports": _Subject("n", fresh=True),
}


class _Unconnected:
    """Stands where the bus does: verdicts are made and encoded, and go nowhere."""

    is_connected = False

    @property
    def nc(self) -> "_Unconnected":
        return self


def partition() -> Partition:
    """Return a partition that speaks to no bus, and waits for no rules while it learns."""
    services = Services(_Unconnected(), None, None, LIMITS, RULE, Guarding(rules="off"))
    number = partition_of(image_key(IMAGE, DIGEST))
    return Partition(number, services, Tenure(None, number, Listing(), 0))


def taught(source: Source) -> Partition:
    """Return a partition whose profile learned every kind of event and detects by it."""
    made = partition()
    for fresh in (True, False):
        for batch in source.batches("pfdn", fresh=fresh, count=_TAUGHT):
            made.apply(wire.decode(wire.EventBatch, batch).events, 1)
    for profile in made.profiles.values():
        profile.detect(1)
        profile.kept = profile.revision
    return made


async def _applied(into: Partition, batches: list[bytes]) -> float:
    """Return the processor seconds of applying `batches`, as `Partition.take` does."""
    started = time.process_time()
    for number, batch in enumerate(batches, 2):
        work = into.apply_batch(Batch(batch), number)
        if work.anomalies or work.asked or work.parked:
            raise RuntimeError("the stream was to be known")
        await into.verdicts.flush()
    return time.process_time() - started


def _learned(batches: list[bytes]) -> float:
    into = partition()
    started = time.process_time()
    for number, batch in enumerate(batches, 2):
        into.apply_batch(Batch(batch), number)
    return time.process_time() - started


def measure(rounds: int) -> Mapping[str, float]:
    """Return events a second and core of each kind, of the mixed stream, and while learning."""
    collect_seldom()  # as the service does
    source = Source()
    detecting = taught(source)
    readings: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, (kinds, fresh) in _SUBJECTS.items():
            batches = source.batches(kinds, fresh=fresh, count=_EVENTS)
            readings[f"{name}.events_per_s_core"].append(_EVENTS / asyncio.run(_applied(detecting, batches)))
        mixed = source.mixed(_EVENTS)
        readings["events_per_s_core"].append(_EVENTS / asyncio.run(_applied(detecting, mixed)))
        readings["learn.events_per_s_core"].append(_EVENTS / _learned(mixed))
    return {name: statistics.median(values) for name, values in readings.items()}

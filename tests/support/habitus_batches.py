# SPDX-License-Identifier: Apache-2.0
"""A partition of the profiler that needs no bus for what it does at once, and batches for it."""

from habitus import wire
from habitus.events import Container, Event, File, Process
from habitus.images import image_key, partition_of
from habitus_profiler.convergence import Rule
from habitus_profiler.guard import Guarding
from habitus_profiler.judgement import Limits
from habitus_profiler.partition import Partition, Services
from habitus_profiler.store import Listing
from habitus_profiler.tenure import Tenure

IMAGE = "webapp:v1"
START = 1_764_000_000_000_000_000
LIMITS = Limits(max_children=4, max_vectors=8, threshold=None)
RULE = Rule(window_s=3600, epsilon=0, min_events=100)


def packed(found):
    """Return the message that carries the events."""
    return wire.encode(wire.EventBatch(events=found))


def partition():
    """Return a partition that needs no bus for what it does at once."""
    number = partition_of(image_key(IMAGE))
    services = Services(None, None, None, LIMITS, RULE, Guarding(rules="off"))
    return Partition(number, services, Tenure(None, number, Listing(), 0))


def ready(made):
    """Let every profile judge, as if a snapshot of it were kept."""
    for profile in made.profiles.values():
        profile.detect(1)
        profile.kept = profile.revision


def told(*works):
    """Return (anomalies, asked, parked), as far as two runs have them alike."""
    return (
        [(one.event.ts, one.reason, one.path, one.detail) for work in works for one in work.anomalies],
        [(one.event.ts, one.ask.form) for work in works for one in work.asked],
        [(event.ts, why) for work in works for event, why, _ in work.parked],
    )


def tokens(of):
    """Return what collectors will be told, by node and image."""
    return {place: waiting.tokens for place, waiting in of.verdicts._waiting.items()}


def opened(path, at=0, **parts):
    """Return an event: a file opened to be read."""
    return Event(
        ts=START + at, class_="file", op="open", container=Container("a", image=IMAGE), node="n1",
        process=Process(name="java", pid=7), file=File(path=path, flags=["read"]), **parts,
    )  # fmt: skip

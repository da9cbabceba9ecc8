# SPDX-License-Identifier: Apache-2.0
"""Every subject, stream and bucket by name: the one place where they are spelt."""

import re
from typing import Final

EVENTS: Final = "EVENTS"
ANOMALIES: Final = "ANOMALIES"
SCORES: Final = "SCORES"
ALERTS: Final = "ALERTS"
PARKED: Final = "PARKED"
EVIDENCE: Final = "EVIDENCE"
"""Of each alert what its newest revision was decided by; may be lost."""

PROFILES: Final = "PROFILES"
POLICIES: Final = "POLICIES"
NODES: Final = "NODES"
TARGETS: Final = "TARGETS"
VECTORS: Final = "VECTORS"
"""What embedders share of their caches; may be lost at any time."""
DELIVERED: Final = "DELIVERED"
"""sink.alert → the revision that the sink took: a restart sends nothing again."""

REVISIONS: Final = "habitus.revisions"
"""Revisions in force, profiler → every collector (core NATS, repeated)."""
EMBED: Final = "habitus.embed"
GUARD: Final = "habitus.guard"
"""What is about to be learned, profiler → scorer: does a high-confidence rule hit it?"""
JUDGE: Final = "habitus.llm.judge"
SINKS: Final = "habitus.sinks"
"""What a person asks of the sinks, `habitus sinks` → scorer; see `habitus.sinks.SinkRequest`."""

_NOT_IN_TOKENS: Final = re.compile(r"[^A-Za-z0-9_=-]")
_LONGEST_TOKEN: Final = 200


def events(event_class: str, partition: int) -> str:
    """Batches of events of one class and partition, collector → profiler (stream EVENTS)."""
    return f"habitus.events.{event_class}.{partition}"


def anomalies(partition: int) -> str:
    """One anomaly a message, profiler → scorer (stream ANOMALIES)."""
    return f"habitus.anomalies.{partition}"


def scores(partition: int) -> str:
    """One scored anomaly a message, scorer → console, profiler (stream SCORES)."""
    return f"habitus.scores.{partition}"


def alerts(severity: str) -> str:
    """One alert a message, scorer → console and sinks (stream ALERTS)."""
    return f"habitus.alerts.{severity}"


def evidence_of(alert_id: str) -> str:
    """The bundle of one alert, scorer → `habitus explain` (stream EVIDENCE, the newest alone)."""
    return f"habitus.evidence.{token_of(alert_id)}"


def verdicts(node: str) -> str:
    """Known events, profiler → the collector of `node` (core NATS: soft state)."""
    return f"habitus.verdicts.{token_of(node)}"


def token_of(node: str) -> str:
    """Return a node's name, whatever is in it, as one token of a subject.

    Two names may give the same token: who listens must not take what he hears for his own unasked.
    """
    return _NOT_IN_TOKENS.sub("_", node[:_LONGEST_TOKEN]) or "_"


def parked(stream: str) -> str:
    """Messages that a service refused, kept for a person (stream PARKED)."""
    return f"habitus.parked.{stream.lower()}"


def dead_letters(sink: str) -> str:
    """Alerts that a sink did not take (stream PARKED); `*` stands for every sink."""
    return parked(f"sinks.{sink}")


def snapshots(partition: int | str, name: str) -> str:
    """Snapshots of one partition's profiles and the list of them (stream PROFILES, the profiler's own)."""
    return f"habitus.snapshots.{partition}.{name}"


def profile(operation: str, partition: int) -> str:
    """Requests to the owner of one partition; the operations are in `habitus.profiles.ProfileRequest`."""
    return f"habitus.profile.{operation}.{partition}"

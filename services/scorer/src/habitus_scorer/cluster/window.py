# SPDX-License-Identifier: Apache-2.0
"""A sliding window of anomalies: distinct patterns with their vectors, and the containers that show them.

Bounded: what is the same is one pattern, however often it comes; the oldest leave at 100 000 anomalies,
at 20 000 patterns, or when the window has passed. Pure and without clock: time is the events' own.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitus.anomalies import Anomaly
from habitus.images import repository_of
from habitus_scorer.cluster.features import Vector, vector_of, words_of

MOST: Final = 100_000
PATTERNS: Final = 20_000
FITTED: Final = 2_000
"""Patterns that a fit looks at, the newest: its time grows with their square."""

NOISE: Final = -1
_AXES: Final = 32
_SMALLEST: Final = 5
_LOOSE: Final = 1.1

Group = tuple[str, object]
"""A workload, and the cluster or the single pattern in it."""


@dataclass
class Pattern:
    """Anomalies that differ in nothing but volatile parts. `label` is its cluster, or NOISE."""

    key: bytes
    workload: str
    vector: Vector
    label: int = NOISE
    containers: Counter[str] = field(default_factory=Counter)

    @property
    def group(self) -> Group:
        """What its spread is counted over: the cluster, or the pattern alone."""
        return self.workload, self.label if self.label != NOISE else self.key


@dataclass(frozen=True)
class Clusters:
    """The outcome of a fit: centres [k, 256], the reach of each, and the labels of the fitted patterns."""

    centres: NDArray[np.float32]
    reaches: NDArray[np.float32]
    labels: dict[bytes, int]

    def of(self, vector: Vector) -> int:
        """Return the cluster that a new vector falls into, or NOISE."""
        if not len(self.centres):
            return NOISE
        distances = np.linalg.norm(self.centres - vector, axis=1)
        nearest = int(np.argmin(distances))
        return nearest if distances[nearest] <= self.reaches[nearest] else NOISE


_NONE: Final = Clusters(np.zeros((0, 0), np.float32), np.zeros(0, np.float32), {})


class Window:
    """Recent anomalies by pattern; `span_s` seconds of them."""

    def __init__(self, span_s: float) -> None:
        self._span_ns = int(span_s * 1e9)
        self._entries: deque[tuple[int, bytes, str]] = deque()
        self._patterns: OrderedDict[bytes, Pattern] = OrderedDict()
        self._spread: dict[Group, Counter[str]] = {}
        self._seen: dict[str, Counter[str]] = {}
        self._clusters = _NONE
        self.fresh = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def patterns(self) -> int:
        """How many distinct patterns the window holds."""
        return len(self._patterns)

    def add(self, anomaly: Anomaly) -> Pattern:
        """Take one anomaly in and return its pattern, in its cluster as the last fit has it."""
        container = anomaly.event.container.id or "?"
        workload = workload_of(anomaly)
        words = words_of(anomaly)
        key = blake2b("\0".join((workload, *words)).encode("utf-8", "replace"), digest_size=12).digest()
        pattern = self._patterns.get(key)
        if pattern is None:
            vector = vector_of(words)
            pattern = Pattern(key, workload, vector, self._clusters.of(vector))
            self._patterns[key] = pattern
            self.fresh += 1
        self._patterns.move_to_end(key)
        self._entries.append((anomaly.event.ts, key, container))
        for counter in (pattern.containers, self._of(pattern), self._seen.setdefault(workload, Counter())):
            counter[container] += 1
        self._trim(anomaly.event.ts)
        return pattern

    def spread(self, pattern: Pattern) -> int:
        """Return how many containers of the workload show this kind."""
        return len(self._spread.get(pattern.group, ()))

    def seen(self, workload: str) -> int:
        """Return how many containers of the workload show any anomaly."""
        return len(self._seen.get(workload, ()))

    def to_fit(self) -> list[Pattern]:
        """Return the newest patterns, for `fitted`."""
        self.fresh = 0
        return list(self._patterns.values())[-FITTED:]

    def take(self, clusters: Clusters) -> None:
        """Put every pattern into the cluster that a fit found for it."""
        self._clusters = clusters
        self._spread = {}
        for key, pattern in self._patterns.items():
            known = clusters.labels.get(key)
            pattern.label = clusters.of(pattern.vector) if known is None else known
            self._of(pattern).update(pattern.containers)

    def _of(self, pattern: Pattern) -> Counter[str]:
        return self._spread.setdefault(pattern.group, Counter())

    def _trim(self, now: int) -> None:
        while self._entries and (
            len(self._entries) > MOST
            or len(self._patterns) > PATTERNS
            or self._entries[0][0] < now - self._span_ns
        ):
            _, key, container = self._entries.popleft()
            pattern = self._patterns[key]
            _less(pattern.containers, container)
            self._left(self._spread, pattern.group, container)
            self._left(self._seen, pattern.workload, container)
            if not pattern.containers:
                del self._patterns[key]

    @staticmethod
    def _left(counters: "dict[Group, Counter[str]] | dict[str, Counter[str]]", key: object, one: str) -> None:
        counter: Counter[str] = counters[key]  # type: ignore[index]  # each is given its own kind of key
        _less(counter, one)
        if not counter:
            del counters[key]  # type: ignore[arg-type]  # the same


def _less(counter: Counter[str], container: str) -> None:
    counter[container] -= 1
    if counter[container] <= 0:
        del counter[container]


def workload_of(anomaly: Anomaly) -> str:
    """Return what replicas share: the image's repository, and the namespace where there is one."""
    pod = anomaly.event.container.pod
    return f"{pod.namespace or '' if pod else ''}/{repository_of(anomaly.image_key) or anomaly.image_key}"


def fitted(patterns: list[Pattern]) -> Clusters:
    """Cluster patterns by HDBSCAN over their vectors, reduced to 32 axes and made of length 1 again."""
    # Here and not above: it takes a second or more, which a scorer's start need not wait for.
    from sklearn.cluster import HDBSCAN  # type: ignore[import-untyped]  # noqa: PLC0415  # it ships no types

    if len(patterns) < _SMALLEST:
        return _NONE
    vectors = np.stack([pattern.vector for pattern in patterns])
    found = HDBSCAN(min_cluster_size=_SMALLEST, copy=True).fit(_reduced(vectors)).labels_
    centres, reaches = [], []
    for label in range(int(found.max()) + 1):
        members = vectors[found == label]
        centre = members.mean(axis=0)
        centres.append(centre)
        reaches.append(_LOOSE * float(np.linalg.norm(members - centre, axis=1).max()))
    labels = {pattern.key: int(label) for pattern, label in zip(patterns, found, strict=True)}
    if not centres:
        return Clusters(_NONE.centres, _NONE.reaches, labels)
    return Clusters(np.stack(centres), np.array(reaches, np.float32), labels)


def _reduced(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    # By the covariance: 256 × 256 whatever the number of patterns.
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    flat = centred @ axes[:, -_AXES:]
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    reduced: NDArray[np.float32] = (flat / np.maximum(lengths, 1e-6)).astype(np.float32)
    return reduced

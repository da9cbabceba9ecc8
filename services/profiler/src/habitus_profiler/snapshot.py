# SPDX-License-Identifier: Apache-2.0
"""A profile as bytes and back: msgpack with a schema version and a checksum (BLAKE2b) over its body."""

from hashlib import blake2b
from typing import Any, Final

import msgspec
import numpy as np

from habitus.profiles import State
from habitus_profiler.convergence import Learning, Progress, Rule
from habitus_profiler.judgement import Limits
from habitus_profiler.leaf import Leaf
from habitus_profiler.notes import Notes
from habitus_profiler.profile import Profile
from habitus_profiler.slots import SlotBook

SCHEMA: Final = "1.6"
_BEFORE_TELLING: Final = frozenset({"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"})
"""Their leaves lack slots that the reader gives today: those are read again from the leaves' forms."""


class SnapshotFault(ValueError):
    """A snapshot that cannot be used; the text says why in one line."""


class _Sealed(msgspec.Struct):
    schema: str
    checksum: bytes
    body: bytes


class _Leaf(msgspec.Struct):
    exes: dict[str, int]
    forms: dict[str, int]
    slots: list[tuple[str, str]]
    absorbed: list[str]
    pending: dict[str, bool]
    texts: list[str]
    vectors: bytes  # float16, C order, little endian, [len(texts), dimension]


class _Profile(msgspec.Struct):
    image_key: str
    partition: int
    state: State
    revision: int
    model: str
    first_event: int | None
    last_event: int | None
    converged: int | None
    progress: Progress
    process: dict[str, dict[str, _Leaf]]
    file: list[tuple[tuple[str, ...], int]]
    network: list[tuple[tuple[str, ...], int]]
    stream: str
    applied: list[int]
    notes: Notes = msgspec.field(default_factory=Notes)
    peak_cores: float = 0.0
    readings: int = 0


_encoder = msgspec.msgpack.Encoder()
_sealed = msgspec.msgpack.Decoder(_Sealed)
_decoder = msgspec.msgpack.Decoder(_Profile)


def sealed(profile: Profile, stream: str) -> bytes:
    """Return the profile as bytes. `stream` names the incarnation of EVENTS that it has learned from."""
    return seal(_encoder.encode(recorded(profile, stream)))


def recorded(profile: Profile, stream: str) -> _Profile:
    """Return the profile as the record that a snapshot holds."""
    return _Profile(
        image_key=profile.image_key,
        partition=profile.partition,
        state=profile.state,
        revision=profile.revision,
        model=profile.model,
        first_event=profile.first_event,
        last_event=profile.last_event,
        converged=profile.converged,
        progress=profile.learning.progress,
        process={
            parent: {name: _packed(leaf) for name, leaf in names.items()}
            for parent, names in profile.process.items()
        },
        file=list(profile.file.leaves()),
        network=list(profile.network.leaves()),
        stream=stream,
        applied=sorted(profile.applied),
        notes=profile.notes,
        peak_cores=profile.fleet.peak,
        readings=profile.fleet.readings,
    )


def seal(body: bytes) -> bytes:
    """Return `body` with its version and checksum."""
    return _encoder.encode(_Sealed(SCHEMA, blake2b(body, digest_size=16).digest(), body))


def opened(data: bytes) -> bytes:
    """Return the body of sealed bytes.

    Raises:
        SnapshotFault: damaged, or of another major version.
    """
    return _unsealed(data).body


def _unsealed(data: bytes) -> _Sealed:
    try:
        box = _sealed.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotFault(f"not a snapshot: {error}") from None
    if box.schema.split(".", 1)[0] != SCHEMA.split(".", 1)[0]:
        raise SnapshotFault(f"snapshot of schema {box.schema!r}; this service reads {SCHEMA}")
    if blake2b(box.body, digest_size=16).digest() != box.checksum:
        raise SnapshotFault("the checksum does not fit: the snapshot is damaged")
    return box


def parsed(data: bytes, limits: Limits, rule: Rule, stream: str) -> Profile:
    """Return the profile that `sealed` wrote, under today's limits and rule.

    Raises:
        SnapshotFault: damaged, or of another major version.
    """
    box = _unsealed(data)
    try:
        record = _decoder.decode(box.body)
        profile = _restored(record, limits, rule)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise SnapshotFault(f"not a profile: {error}") from None
    # A stream that was made anew counts from 1 again: what was applied of the old one says nothing.
    profile.applied = set(record.applied) if record.stream == stream else set()
    profile.bytes = len(data)
    if box.schema in _BEFORE_TELLING:
        for leaf in profile.leaves():
            leaf.retell()
    return profile


def restored(fields: dict[str, Any], limits: Limits, rule: Rule) -> Profile:
    """Return the profile of a record in plain mappings and lists.

    Raises:
        msgspec.ValidationError: a field is missing or of the wrong type.
    """
    return _restored(msgspec.convert(fields, _Profile, str_keys=True), limits, rule)


def _restored(record: _Profile, limits: Limits, rule: Rule) -> Profile:
    profile = Profile(record.image_key, record.partition, limits, Learning(rule, record.progress))
    profile.state = record.state
    profile.revision = record.revision
    profile.model = record.model
    profile.first_event, profile.last_event = record.first_event, record.last_event
    profile.converged = record.converged
    profile.fleet.peak, profile.fleet.readings = record.peak_cores, record.readings
    profile.process = {
        parent: {name: _unpacked(leaf) for name, leaf in names.items()}
        for parent, names in record.process.items()
    }
    for trie, paths in ((profile.file, record.file), (profile.network, record.network)):
        for path, ends in paths:
            trie.restore(path, ends)
    profile.notes = record.notes
    profile.kept = profile.revision
    profile.dirty = False
    return profile


def _packed(leaf: Leaf) -> _Leaf:
    return _Leaf(
        exes=leaf.exes,
        forms=leaf.forms,
        slots=leaf.slots.records(),
        absorbed=sorted(leaf.absorbed),
        pending=leaf.pending,
        texts=leaf.texts,
        vectors=leaf.vectors.astype("<f2").tobytes(),
    )


def _unpacked(record: _Leaf) -> Leaf:
    leaf = Leaf()
    leaf.exes, leaf.forms, leaf.pending = record.exes, record.forms, record.pending
    leaf.slots = SlotBook(record.slots)
    leaf.absorbed, leaf.texts = set(record.absorbed), record.texts
    vectors = np.frombuffer(record.vectors, "<f2").astype(np.float16)
    leaf.vectors = vectors.reshape(len(record.texts), -1) if record.texts else np.zeros((0, 0), np.float16)
    return leaf

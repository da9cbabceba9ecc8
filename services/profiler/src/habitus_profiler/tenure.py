# SPDX-License-Identifier: Apache-2.0
"""One replica's ownership of one partition's snapshots, fenced against former owners.

The partition's list alone decides which snapshots count, and it is replaced only if it is still the one
that its writer read or wrote last (the broker compares sequences). Who takes a partition writes the list
anew, so whoever held it before can't replace it any more, however late he wakes.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import msgspec
from nats.js.errors import APIError

from habitus import subjects
from habitus.text import printable
from habitus_profiler import snapshot
from habitus_profiler.convergence import Rule
from habitus_profiler.judgement import Limits
from habitus_profiler.profile import Profile
from habitus_profiler.store import Entry, Kept, Listing, Store

log = logging.getLogger(__name__)

_WRONG_SEQUENCE: Final = 10071
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_encoder = msgspec.msgpack.Encoder()


class Fenced(Exception):
    """Another replica has taken the partition: nothing of ours is written any more."""


class _Written(NamedTuple):
    """A snapshot that was stored; `contained`: the sequences in EVENTS that it says are learned."""

    profile: Profile
    revision: int
    contained: frozenset[int]
    kept: Kept


async def claim(store: Store, partition: int) -> "Tenure":
    """Take a partition: from now on nobody else's snapshots of it count.

    Raises:
        one of STORE_FAULTS: the broker can't be asked; nothing is taken.
    """
    while True:
        current, sequence = await store.current(partition)
        current.tenure = secrets.token_hex(8)
        tenure = Tenure(store, partition, current, sequence)
        try:
            await tenure.begin()
        except APIError as error:
            if error.err_code != _WRONG_SEQUENCE:
                raise
            continue  # somebody wrote between our reading and our writing
        return tenure


class Tenure:
    """One replica's ownership of one partition's snapshots."""

    def __init__(self, store: Store, partition: int, current: Listing, sequence: int) -> None:
        self.fenced = asyncio.Event()
        self.floors: dict[str, int] = {}
        """Image key → the first revision that no profile of this name ever had, where one is gone."""
        self._store = store
        self._partition = partition
        self._list = current
        self._sequence = sequence
        self._lock = asyncio.Lock()

    @property
    def frozen(self) -> bool:
        """Whether images never seen are judged in this partition."""
        return self._list.frozen

    def names(self) -> dict[str, int]:
        """Return the image key of each profile that is kept → how many events it had learned."""
        return {key: entry.events for key, entry in self._list.profiles.items()}

    async def begin(self) -> None:
        """Replace the list by one in our name, and sweep what a former owner left behind.

        Each profile gets a revision of its own in it, so that collectors ask anew: other settings, or another
        program, may judge otherwise. No snapshot is written for that, and none is read.
        """
        taken = {key: entry.taken() for key, entry in self._list.profiles.items()}
        new = Listing(self._list.tenure, self._list.frozen, taken)
        self._sequence = await self._publish(new)
        self._list = new
        kept = {each.name for each in self._list.kept()}
        await self._store.drop(self._partition, await self._store.names(self._partition) - kept)

    async def load(self, key: str, limits: Limits, rule: Rule) -> Profile | None:
        """Return one profile that is kept, None when no snapshot of it can be used.

        A damaged snapshot gets a line in the log, and the one before it is used.

        Raises:
            Fenced: another replica owns the partition, and may have dropped what our list names.
            one of STORE_FAULTS: the broker can't be asked.
        """
        entry, name = self._list.profiles[key], printable(key, 200)
        try:
            profile = await self._parsed(entry.newest, limits, rule)
        except snapshot.SnapshotFault as fault:
            current, _ = await self._store.current(self._partition)
            self._ours(current)
            log.error("snapshot of %s refused: %s", name, fault)  # noqa: TRY400
            return await self._older(key, limits, rule)
        if entry.revision:
            profile.revision = profile.kept = max(profile.revision, entry.revision)
        else:  # a list by an older program reserves none
            profile.revision, profile.dirty = profile.revision + 1, True
        return profile

    async def _older(self, key: str, limits: Limits, rule: Rule) -> Profile | None:
        entry, name = self._list.profiles[key], printable(key, 200)
        if entry.before:
            try:
                profile = await self._parsed(entry.before, limits, rule)
            except snapshot.SnapshotFault as fault:
                log.error("the snapshot before of %s refused: %s", name, fault)  # noqa: TRY400
            else:
                log.error(
                    "%s goes on from the snapshot before (revision %d, %s): what came after is lost",
                    name,
                    profile.revision,
                    profile.state,
                )
                profile.revision, profile.dirty = max(profile.revision, entry.revision) + 1, True
                async with self._lock:
                    self._list.profiles[key] = Entry(entry.before, None, entry.revision, entry.events)
                return profile
        log.error("no usable snapshot of %s: its profile starts anew", name)
        self.floors[key] = entry.revision + 1
        return None

    async def _parsed(self, kept: Kept, limits: Limits, rule: Rule) -> Profile:
        data = await self._store.read(self._partition, kept)
        return snapshot.parsed(data, limits, rule, self._store.stream)

    async def save(
        self, profiles: Mapping[str, Profile], names: AbstractSet[str]
    ) -> dict[str, frozenset[int]]:
        """Keep every dirty profile, forget those that are no longer in `names`.

        Returns:
            image key → the sequences in EVENTS that its new snapshot contains.

        Raises:
            Fenced: another replica owns the partition.
            one of STORE_FAULTS: the broker does not take it; the profiles are dirty again.
        """
        async with self._lock:
            if self.fenced.is_set():
                raise Fenced
            written: dict[str, _Written] = {}
            try:
                for key, profile in list(profiles.items()):
                    if profile.dirty:
                        written[key] = await self._written(profile)
                if written or self._list.profiles.keys() - names:
                    await self._replace(names, written)
            except BaseException:
                for profile, *_ in written.values():
                    profile.dirty = True
                raise
            for profile, revision, _, _ in written.values():
                profile.kept = revision
            return {key: contained for key, (_, _, contained, _) in written.items()}

    async def _written(self, profile: Profile) -> _Written:
        data = snapshot.sealed(profile, self._store.stream)
        revision, contained = profile.revision, frozenset(profile.applied)
        profile.dirty, profile.bytes = False, len(data)
        try:
            kept = await self._store.write(self._partition, secrets.token_hex(8), data)
        except BaseException:
            profile.dirty = True
            raise
        return _Written(profile, revision, contained, kept)

    async def _replace(self, names: AbstractSet[str], written: Mapping[str, _Written]) -> None:
        entries = {key: entry for key, entry in self._list.profiles.items() if key in names}
        for key, (profile, revision, _, kept) in written.items():
            old = entries.get(key)
            before, events = old.newest if old else None, profile.learning.progress.events
            entries[key] = Entry(kept, before, revision, events)
        await self._put(Listing(self._list.tenure, self._list.frozen, entries))

    async def freeze(self) -> None:
        """Remember that images never seen are judged in this partition.

        Raises:
            Fenced, STORE_FAULTS: as `save`.
        """
        async with self._lock:
            await self._put(Listing(self._list.tenure, frozen=True, profiles=self._list.profiles))

    async def _put(self, new: Listing) -> None:
        if self.fenced.is_set():
            raise Fenced
        unused = self._list.kept()
        try:
            self._sequence = await self._publish(new)
        except APIError as error:
            if error.err_code != _WRONG_SEQUENCE:
                raise
            current, self._sequence = await self._store.current(self._partition)
            self._ours(current)
            unused |= current.kept()  # ours: the broker took it and its answer was lost
            self._sequence = await self._publish(new)
        self._list = new
        await self._store.drop(self._partition, {each.name for each in unused - new.kept()})

    def _ours(self, current: Listing) -> None:
        if current.tenure != self._list.tenure:
            self.fenced.set()
            raise Fenced from None

    async def _publish(self, new: Listing) -> int:
        subject = subjects.snapshots(self._partition, "list")
        data = snapshot.seal(_encoder.encode(new))
        ack = await self._store.bus.js.publish(subject, data, headers={_EXPECTED: str(self._sequence)})
        return ack.seq

# SPDX-License-Identifier: Apache-2.0
"""Keeps snapshots in the object store PROFILES: one object a profile, one a frozen partition."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import nats.errors
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError
from nats.js.object_store import ObjectStore

from habitus import subjects
from habitus.bus import Bus
from habitus.service import ServiceFault
from habitus_profiler import snapshot
from habitus_profiler.convergence import Rule
from habitus_profiler.profile import Limits, Profile

log = logging.getLogger(__name__)

_FROZEN: Final = b"frozen"
_GET_TIMEOUT_S: Final = 30.0

STORE_FAULTS: Final = (nats.errors.Error, JetStreamError, TimeoutError, OSError)
"""What the broker may answer instead of storing."""


def _prefix(partition: int) -> str:
    return f"p{partition}."


def object_name(partition: int, image_key: str) -> str:
    """Return the name of a profile's object: the partition and a hash of the image key."""
    return _prefix(partition) + blake2b(image_key.encode("utf-8", "replace"), digest_size=16).hexdigest()


class Store:
    """The bucket. `stream` is the incarnation of EVENTS that sequences belong to."""

    def __init__(self, bucket: ObjectStore, stream: str) -> None:
        self._bucket = bucket
        self.stream = stream

    @classmethod
    async def open(cls, bus: Bus, replicas: int) -> "Store":
        """Open the bucket, making it if there is none."""
        try:
            created = (await bus.js.stream_info(subjects.EVENTS)).created
            try:
                bucket = await bus.js.object_store(subjects.PROFILES)
            except NotFoundError:
                bucket = await bus.js.create_object_store(subjects.PROFILES, replicas=replicas)
        except STORE_FAULTS as error:
            raise ServiceFault(f"bucket {subjects.PROFILES}: {error or type(error).__name__}") from None
        return cls(bucket, str(created))

    async def save(self, profile: Profile) -> None:
        """Keep the profile as it is now; when this returns, `profile.applied` of the call is kept.

        Raises:
            one of STORE_FAULTS: the broker does not take it; the profile is dirty again.
        """
        data = snapshot.sealed(profile, self.stream)
        profile.dirty, profile.bytes = False, len(data)
        revision = profile.revision
        try:
            await self._bucket.put(object_name(profile.partition, profile.image_key), data)
        except BaseException:
            profile.dirty = True
            raise
        profile.kept = revision

    async def forget(self, profile: Profile) -> None:
        """Delete the snapshot of a profile; one that was never kept has none."""
        with contextlib.suppress(NotFoundError):
            await self._bucket.delete(object_name(profile.partition, profile.image_key))

    async def freeze(self, partition: int) -> None:
        """Remember that images never seen are judged in this partition."""
        await self._bucket.put(_prefix(partition) + "frozen", snapshot.seal(_FROZEN))

    async def load(
        self, partitions: Iterable[int], limits: Limits, rule: Rule
    ) -> tuple[list[Profile], set[int]]:
        """Return the profiles of `partitions`, and which of these are frozen.

        A damaged snapshot gets one line in the log, and its profile starts anew.
        """
        wanted = set(partitions)
        profiles, frozen = [], set[int]()
        for name in await self._names():
            partition = int(name[1:].split(".", 1)[0])
            if partition not in wanted:
                continue
            try:
                data = await self._read(name)
                if name.endswith(".frozen"):
                    if snapshot.opened(data) == _FROZEN:
                        frozen.add(partition)
                    continue
                profiles.append(snapshot.parsed(data, limits, rule, self.stream))
            except snapshot.SnapshotFault as fault:
                log.error("snapshot %s refused: %s; its profile starts anew", name, fault)  # noqa: TRY400
        return profiles, frozen

    async def _names(self) -> list[str]:
        try:
            entries = await self._bucket.list()
        except NotFoundError:
            return []
        names = [entry.name for entry in entries if entry.name and not entry.deleted]
        return [name for name in names if name[0] == "p" and name[1:].split(".", 1)[0].isdigit()]

    async def _read(self, name: str) -> bytes:
        try:
            result = await asyncio.wait_for(self._bucket.get(name), _GET_TIMEOUT_S)
        except STORE_FAULTS as error:
            raise snapshot.SnapshotFault(f"cannot be read: {error or type(error).__name__}") from None
        return result.data or b""

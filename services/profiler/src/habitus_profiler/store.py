# SPDX-License-Identifier: Apache-2.0
"""The stream PROFILES: snapshots, each under its own name, and each partition's list of those that count.

A snapshot is written once and never changed; a partition's list names each profile's newest and the one
before. Who may replace the list is the matter of `tenure`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec
import nats.errors
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError
from nats.js.errors import Error as JetStreamError

from habitus import subjects
from habitus.bus import Bus
from habitus.service import ServiceFault
from habitus_profiler import snapshot

log = logging.getLogger(__name__)

STORE_FAULTS: Final = (nats.errors.Error, JetStreamError, TimeoutError, OSError)
"""What the broker may answer instead of storing."""

_CHUNK: Final = 256 << 10
_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.2


class Kept(msgspec.Struct, frozen=True):
    """One snapshot: its name and in how many messages it lies."""

    name: str
    chunks: int


class Entry(msgspec.Struct):
    """What is kept of one profile.

    `revision`: the newest that may be in force, the snapshot's own or a later owner's; 0 in lists of older
    programs. `events`: how many it had learned.
    """

    newest: Kept
    before: Kept | None = None
    revision: int = 0
    events: int = 0

    def kept(self) -> set[Kept]:
        """Return the snapshots that count."""
        return {self.newest, self.before} if self.before else {self.newest}

    def taken(self) -> "Entry":
        """Return the entry as a new owner writes it: with a revision that was never in force."""
        return Entry(self.newest, self.before, self.revision + 1 if self.revision else 0, self.events)


class Listing(msgspec.Struct):
    """What a partition keeps. `tenure` names who wrote it, `frozen`: images never seen are judged."""

    tenure: str = ""
    frozen: bool = False
    profiles: dict[str, Entry] = {}

    def kept(self) -> set[Kept]:
        """Return the snapshots that count."""
        return {kept for entry in self.profiles.values() for kept in entry.kept()}


_decoder = msgspec.msgpack.Decoder(Listing)


class Store:
    """The stream PROFILES. `stream` is the incarnation of EVENTS that sequences belong to."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self.bus = bus
        self.stream = stream

    @classmethod
    async def open(cls, bus: Bus, replicas: int) -> "Store":
        """Make sure that the stream stands."""
        config = StreamConfig(
            name=subjects.PROFILES,
            subjects=[subjects.snapshots("*", ">")],
            max_msgs_per_subject=2,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            num_replicas=replicas,
            allow_direct=True,
        )
        try:
            created = (await bus.js.stream_info(subjects.EVENTS)).created
            try:
                await bus.js.add_stream(config)
            except BadRequestError:
                log.debug("stream %s stands with limits of its own", subjects.PROFILES)
        except STORE_FAULTS as error:
            raise ServiceFault(f"stream {subjects.PROFILES}: {error or type(error).__name__}") from None
        return cls(bus, str(created))

    async def current(self, partition: int) -> tuple[Listing, int]:
        """Return the partition's list and its sequence, an empty one and 0 if there is none."""
        subject = subjects.snapshots(partition, "list")
        try:
            message = await self.bus.js.get_last_msg(subjects.PROFILES, subject)
        except NotFoundError:
            return Listing(), 0
        sequence = message.seq or 0
        try:
            return _opened(message.data or b""), sequence
        except snapshot.SnapshotFault as fault:
            log.error("the snapshots' list of partition %d is refused: %s", partition, fault)  # noqa: TRY400
        try:
            older = await self.bus.js.get_msg(subjects.PROFILES, seq=1, subject=subject, next=True)
            found = _opened(older.data or b"")
        except (NotFoundError, snapshot.SnapshotFault):
            log.error("partition %d has no older list: its profiles start anew", partition)  # noqa: TRY400
            return Listing(), sequence
        log.error("partition %d goes on from the list before", partition)
        return found, sequence

    async def write(self, partition: int, name: str, data: bytes) -> Kept:
        """Store one snapshot under a name that was never used."""
        size = min(_CHUNK, self.bus.nc.max_payload // 2)
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        for number, chunk in enumerate(chunks):
            await self.bus.js.publish(subjects.snapshots(partition, f"{name}.{number}"), chunk)
        return Kept(name, len(chunks))

    async def read(self, partition: int, kept: Kept) -> bytes:
        """Return a snapshot as it was written.

        Raises:
            SnapshotFault: a part of it is gone.
            one of STORE_FAULTS: the broker doesn't answer.
        """
        parts = []
        for number in range(kept.chunks):
            subject = subjects.snapshots(partition, f"{kept.name}.{number}")
            try:
                message = await insistent(lambda at=subject: self._last(at))  # type: ignore[misc]
            except NotFoundError:
                raise snapshot.SnapshotFault(f"part {number + 1} of {kept.chunks} is gone") from None
            parts.append(message)
        return b"".join(parts)

    async def _last(self, subject: str) -> bytes:
        try:
            return (await self.bus.js.get_msg(subjects.PROFILES, subject=subject, direct=True)).data or b""
        except STORE_FAULTS:
            pass  # a follower that lags, or a stream without direct access: its leader knows
        return (await self.bus.js.get_last_msg(subjects.PROFILES, subject)).data or b""

    async def drop(self, partition: int, names: Iterable[str]) -> None:
        """Free the room of snapshots that no list names."""
        for name in names:
            try:
                await self.bus.js.purge_stream(
                    subjects.PROFILES, subject=subjects.snapshots(partition, f"{name}.*")
                )
            except STORE_FAULTS as error:
                log.debug("snapshot %s stays: %s", name, error or type(error).__name__)

    async def names(self, partition: int) -> set[str]:
        """Return the name of every snapshot that takes room."""
        subject = subjects.snapshots(partition, ">")
        state = (await self.bus.js.stream_info(subjects.PROFILES, subjects_filter=subject)).state
        parts = (each.split(".") for each in state.subjects or {})
        return {part[-2] for part in parts if part[-1].isdigit()}


def _opened(data: bytes) -> Listing:
    try:
        return _decoder.decode(snapshot.opened(data))
    except msgspec.DecodeError as error:
        raise snapshot.SnapshotFault(f"not a list of snapshots: {error}") from None


async def insistent(call: Callable[[], Awaitable[bytes]]) -> bytes:
    """Ask a few times before a silence of the broker counts as a fault."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await call()
        except NotFoundError:
            raise
        except STORE_FAULTS:
            if attempt == _ATTEMPTS:
                raise
            await asyncio.sleep(_PAUSE_S * attempt)
    raise AssertionError

# SPDX-License-Identifier: Apache-2.0
"""The spool: batches on disk while the broker does not take them, oldest first, within a bound.

What is written survives the end of this process, however it ends: it is in the kernel's page cache
at once. It is synced to the disk within a second, which is what a power cut can cost. When the
bound is reached the newest is refused, not the oldest dropped: a flood cannot wash out what came
before it.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections import deque
from pathlib import Path
from typing import Final

from habitus.publish import Batch
from habitus_collector.segments import Record, Segment, packed

log = logging.getLogger(__name__)

SEGMENT: Final = 4 << 20
"""Bytes after which a new file begins: the disk gets its space back file by file."""

_ENDING: Final = ".spool"
_SYNC_S: Final = 1.0


class SpoolFault(RuntimeError):
    """The folder cannot be used; one line."""


class Spool:
    """A folder of segments, used by one process at a time. Blocks for a write to the page cache only.

    Attributes:
        damaged: places so far that were no records: what was there is lost.
    """

    on_disk = True

    def __init__(self, folder: Path, limit: int) -> None:
        """Open the folder, making it for this user alone.

        Raises:
            SpoolFault: it cannot be made or written, or another process has it.
        """
        self._folder = folder
        self._limit = limit
        self._segment = min(SEGMENT, max(limit // 4, 1))
        self._writing: Segment | None = None
        self._reading: Segment | None = None
        self._record: Record | None = None
        self._refusing = False
        self._unsynced = False
        self.damaged = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(
                folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = sorted(folder.glob(f"*{_ENDING}"), key=_number)
            self._sizes = {path: path.stat().st_size for path in found}
        except BlockingIOError:
            os.close(self._lock)
            raise SpoolFault(f"spool {folder}: another collector uses it; see collector.spool") from None
        except OSError as error:
            raise SpoolFault(f"spool {folder}: {error.strerror}; see collector.spool") from None
        self._files = deque(found)
        self._last = _number(found[-1]) if found else 0
        if found:
            log.info("spool %s: %d bytes of a former run go first", folder, self.size)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes.values())

    @property
    def oldest(self) -> int | None:
        """When the oldest batch came (nanoseconds since the epoch), once it was looked at."""
        return self._record.when if self._record else None

    def __bool__(self) -> bool:
        return bool(self._files)

    def append(self, batch: Batch) -> bool:
        """Keep a batch behind all others; False when there is no room for it."""
        record = packed(batch.subject, batch.id, batch.payload, len(batch.events))
        if self.size + len(record) > self._limit:
            return self._refused(f"it holds its {self._limit} bytes")
        try:
            segment = self._room(len(record))
            segment.append(record)
        except OSError as error:
            return self._refused(error.strerror or str(error))
        self._sizes[segment.path] = segment.size
        self._unsynced = True
        if self._refusing:
            self._refusing = False
            log.info("spool %s: takes events again", self._folder)
        return True

    def peek(self) -> Batch | None:
        """Return the oldest batch, or None when there is none any more."""
        while self._record is None and self._files:
            try:
                self._record = self._look()
            except OSError as error:
                self._damage(self._files[0], 0, error.strerror or str(error))
                self._remove()
        record = self._record
        return Batch(record.subject, record.id, record.payload) if record else None

    def done(self) -> None:
        """Forget the oldest batch: the broker has it."""
        record, self._record = self._record, None
        if record is not None and self._reading is not None:
            with contextlib.suppress(OSError):
                self._reading.done(record)
            self.peek()  # removes what is empty now

    async def run(self) -> None:
        """Sync what was written, for ever."""
        while True:
            await asyncio.sleep(_SYNC_S)
            if self._unsynced and self._writing is not None:
                self._unsynced = False
                await _synced(self._writing)

    def close(self) -> None:
        """Let another process have the folder; what is in it stays."""
        for segment in (self._writing, self._reading):
            if segment:
                segment.close()
        os.close(self._lock)

    def _look(self) -> Record | None:
        """Return the next record of the oldest file; None when that file is empty, and it is gone then."""
        path = self._files[0]
        if self._reading is None:
            writing = self._writing
            self._reading = writing if writing and writing.path == path else Segment(path, new=False)
        record = self._reading.next(self._damage)
        if record is None:
            self._remove()
        return record

    def _remove(self) -> None:
        path = self._files.popleft()
        for segment in (self._reading, self._writing):
            if segment is not None and segment.path == path:
                segment.close()
        self._reading = None
        if self._writing is not None and self._writing.path == path:
            self._writing = None
        self._sizes.pop(path, None)
        with contextlib.suppress(OSError):
            path.unlink()

    def _room(self, length: int) -> Segment:
        segment = self._writing
        if segment is not None and segment.size + length <= self._segment:
            return segment
        if segment is not None and segment is not self._reading:
            segment.close()
        self._writing = None
        self._last += 1
        path = self._folder / f"{self._last:016d}{_ENDING}"
        self._writing = Segment(path, new=True)
        self._files.append(path)
        self._sizes[path] = 0
        return self._writing

    def _refused(self, why: str) -> bool:
        if not self._refusing:  # said once: it would be said for every batch
            self._refusing = True
            log.error("spool %s: %s; events are lost until there is room", self._folder, why)
        return False

    def _damage(self, path: Path, offset: int, what: str) -> None:
        self.damaged += 1
        log.error("spool %s: at offset %d: %s; the rest is sent", path, offset, what)


async def _synced(segment: Segment) -> None:
    try:
        copy = os.dup(segment.fd)
    except OSError:
        return  # emptied and closed meanwhile
    try:
        await asyncio.to_thread(os.fdatasync, copy)
    except OSError as error:
        log.warning("spool %s: %s", segment.path, error.strerror)
    finally:
        os.close(copy)


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else 0


def default_folder() -> Path:
    """Return where the spool is when no setting says: /var/lib/habitus for root, else XDG_STATE_HOME."""
    if os.geteuid() == 0:
        return Path("/var/lib/habitus/spool")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "habitus" / "spool"


def age_s(when: int | None) -> float:
    """Return the seconds since `when` (nanoseconds since the epoch), 0 for None or a time to come."""
    return max(0.0, (time.time_ns() - when) / 1e9) if when else 0.0

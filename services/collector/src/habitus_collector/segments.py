# SPDX-License-Identifier: Apache-2.0
"""One file of the spool: records one behind the other, each with a checksum.

record = magic (4) | length of the body (4) | CRC-32 of the body (4) | state (1) | 3 × 0 | body
body   = when, in nanoseconds since the epoch (8) | events (4) | length of the subject (2) |
         length of the id (2) | subject | id | payload

All numbers little endian. The state is 0 while the broker does not have the record and becomes 1 in
place; it is outside the checksum. A file that a crash cut ends with half a record.
"""

import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_MAGIC: Final = b"hbsp"
_HEAD: Final = struct.Struct("<4sIIB3x")
_BODY: Final = struct.Struct("<QIHH")
_STATE_AT: Final = 12
_STORED: Final = b"\x01"
_LONGEST: Final = 16 << 20
_CHUNK: Final = 1 << 20

Damage = Callable[[Path, int, str], None]
"""Takes (file, offset, what is wrong with it)."""


class Record(NamedTuple):
    """One batch on disk. `at` is where it begins in its file, `end` where the next one does."""

    at: int
    end: int
    when: int
    events: int
    subject: str
    id: str
    payload: bytes


def packed(subject: str, message_id: str, payload: bytes, events: int, when: int | None = None) -> bytes:
    """Return one record."""
    subject_, id_ = subject.encode(), message_id.encode()
    when = time.time_ns() if when is None else when
    body = b"".join((_BODY.pack(when, events, len(subject_), len(id_)), subject_, id_, payload))
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body), 0) + body


class Segment:
    """An open file of records; only the one that this run began is written.

    Raises:
        OSError: from every method: the disk refuses.
    """

    def __init__(self, path: Path, *, new: bool) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        self.fd = os.open(path, flags | (os.O_CREAT | os.O_EXCL if new else 0), 0o600)
        self.size = os.fstat(self.fd).st_size
        self._next = 0

    def append(self, record: bytes) -> None:
        """Write one record, or leave the file as it was."""
        try:
            written = os.pwrite(self.fd, record, self.size)
            if written != len(record):  # the disk got full on the way: the rest tells why
                written += os.pwrite(self.fd, record[written:], self.size + written)
        except OSError:
            os.ftruncate(self.fd, self.size)
            raise
        if written != len(record):
            os.ftruncate(self.fd, self.size)
            raise OSError(28, os.strerror(28))
        self.size += written

    def next(self, damage: Damage) -> Record | None:
        """Return the next record that the broker does not have, or None at the end. Moves with `done`."""
        while self._next < self.size:
            record, stored = self._read(self._next)
            if record is None:
                self._skip(damage)
            elif stored:
                self._next = record.end
            else:
                return record
        return None

    def done(self, record: Record) -> None:
        """Note that the broker has this record; also a process killed right after knows it then."""
        os.pwrite(self.fd, _STORED, record.at + _STATE_AT)
        self._next = record.end

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _read(self, at: int) -> tuple[Record | None, bool]:
        head = os.pread(self.fd, _HEAD.size, at)
        if len(head) < _HEAD.size:
            return None, False
        magic, length, checksum, state = _HEAD.unpack(head)
        begin = at + _HEAD.size
        if magic != _MAGIC or not _BODY.size <= length <= _LONGEST or begin + length > self.size:
            return None, False
        body = os.pread(self.fd, length, begin)
        if len(body) != length or zlib.crc32(body) != checksum:
            return None, False
        when, events, subject, name = _BODY.unpack_from(body)
        names = body[_BODY.size : _BODY.size + subject + name].decode()
        payload = body[_BODY.size + subject + name :]
        record = Record(at, begin + length, when, events, names[:subject], names[subject:], payload)
        return record, state != 0

    def _skip(self, damage: Damage) -> None:
        """Go to the next record that is whole, and say what lies between."""
        bad, at = self._next, self._next + 1
        self._next = self.size
        while at < self.size:
            at = self._find(at)
            if self._read(at)[0] is not None:
                self._next = at
                break
            at += 1
        gap = self._next - bad
        what = (
            f"{gap} bytes are damaged"
            if self._next < self.size
            else f"cut off, {gap} bytes of it are no record"
        )
        damage(self.path, bad, what)

    def _find(self, at: int) -> int:
        while at < self.size:
            found = os.pread(self.fd, _CHUNK, at).find(_MAGIC)
            if found >= 0:
                return at + found
            at += _CHUNK - len(_MAGIC) + 1
        return self.size

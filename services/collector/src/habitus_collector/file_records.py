# SPDX-License-Identifier: Apache-2.0
"""Reads what the file sensor writes: bpf/lib/file_records.h, field by field."""

import posixpath
import struct
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

from habitus.text import decoded
from habitus_collector import records
from habitus_collector.records import Head

KIND: Final = 16
"""RECORD_FILE."""
KIND_TOTAL: Final = 17
"""RECORD_FILE_TOTAL."""
FILE: Final = struct.Struct("=IIIIQ32s")  # after the head; data follow
PLACE: Final = struct.Struct("=IIII")
TOTAL: Final = struct.Struct("=QQQ")  # after the head
MEMORY: Final = "memory"
"""Instead of a path: what was loaded came from no file."""

_UNTOLD: Final = (1 << 64) - 1
_STAYS: Final = 0xFFFFFFFF
_AT: Final = records.HEAD.size


class FileOp(IntEnum):
    """enum file_op."""

    OPEN = 1
    CREATE = 2
    RENAME = 3
    UNLINK = 4
    CHMOD = 5
    LINK = 6
    MOUNT = 7
    READ = 8
    WRITE = 9
    LOAD = 10


_TWO: Final = (FileOp.RENAME, FileOp.LINK)


class FileFlag(IntFlag):
    """enum file_flag."""

    READ = 1
    WRITE = 2
    TRUNCATE = 4
    APPEND = 8
    DIRECTORY = 16
    MODE = 32
    OWNER = 64
    SYMBOLIC = 128
    EXCHANGE = 256
    BIND = 512
    REMOUNT = 1024
    MOVE = 2048
    DEVICE = 4096
    UNMOUNT = 8192
    PIVOT = 16384
    CHROOT = 32768
    MODULE = 65536
    UNLOAD = 131072


class ToldFlag(IntFlag):
    """enum told_flag."""

    UNREAD = 1


class FileRecord(NamedTuple):
    """What was done to a file.

    Attributes:
        repeats: the same deeds held back since it was last sent.
        value: of a change of rights the bits, of owners `uid << 32 | gid`, of a read or a write the bytes.
    """

    head: Head
    op: FileOp
    flags: FileFlag
    repeats: int
    value: int
    path: str
    new_path: str | None


class FileTotal(NamedTuple):
    """What a process read and wrote of an open file in all, when it is done with it.

    Attributes:
        first: time of the first record of that use; with the pid it says which file it was.
        read, written: bytes; None where there were none, or where they are known by now.
    """

    head: Head
    first: int
    read: int | None
    written: int | None


def read(head: Head, raw: bytes) -> FileRecord:
    """Return the record in `raw`.

    Raises:
        RecordFault: it is none that this version knows.
    """
    try:
        op, flags, repeats, _, value, places = FILE.unpack_from(raw, _AT)
        first, second = PLACE.iter_unpack(places)
        kind = FileOp(op)
    except (struct.error, ValueError):
        raise records.RecordFault from None
    at = _AT + FILE.size
    path = _path(raw, at, first, alone=_is_text(kind, flags))
    if kind is FileOp.LOAD and not any(first):
        path = MEMORY
    new_path = _path(raw, at + first[0] + first[2], second) if kind in _TWO else None
    return FileRecord(head, kind, FileFlag(flags), repeats, value, path, new_path)


def total(head: Head, raw: bytes) -> FileTotal:
    """Return the sums in `raw`.

    Raises:
        RecordFault: it is too short.
    """
    try:
        first, *sums = TOTAL.unpack_from(raw, _AT)
    except struct.error:
        raise records.RecordFault from None
    return FileTotal(head, first, *(None if each == _UNTOLD else each for each in sums))


def bytes_of(record: FileRecord) -> int | None:
    """Return how many bytes a read or a write was of, or None: truncation writes none."""
    return record.value or None if record.op in (FileOp.READ, FileOp.WRITE) else None


def mode_of(record: FileRecord) -> str | None:
    """Return the permission bits that were set, in octal."""
    if record.op is FileOp.CHMOD and record.flags & FileFlag.MODE:
        return f"{record.value:04o}"
    return None


def owner_of(record: FileRecord) -> str | None:
    """Return the owners that were set as `uid:gid`, `-` for what stays."""
    if record.op is FileOp.CHMOD and record.flags & FileFlag.OWNER:
        return ":".join("-" if id_ == _STAYS else str(id_) for id_ in divmod(record.value, 1 << 32))
    return None


def _is_text(op: FileOp, flags: int) -> bool:
    """Whether the name that was given is no path.

    What a symbolic link says is a text (nobody looked whether there is such a file), and a module in
    the kernel has a name of its own.
    """
    if op is FileOp.LINK:
        return bool(flags & FileFlag.SYMBOLIC)
    return op is FileOp.LOAD and bool(flags & FileFlag.UNLOAD)


def joined(start: str, told: str) -> str:
    """Return the path of `told` from `start`, without `.` and `..`.

    Symbolic links on the way are not followed: the kernel no longer tells where they led.
    """
    if not told:
        return start
    whole = posixpath.normpath(f"{start}/{told}")
    return "/" + whole.lstrip("/") if start.startswith("/") else whole


def _path(raw: bytes, at: int, place: tuple[int, ...], *, alone: bool = False) -> str:
    walked, walked_flags, told, told_flags = place
    text = decoded(raw[at + walked : at + walked + told])
    if told_flags & ToldFlag.UNREAD:
        text = "…"
    if alone:
        return text
    return joined(records.path(raw[at : at + walked], walked_flags), text)

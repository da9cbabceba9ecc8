# SPDX-License-Identifier: Apache-2.0
"""Reads what the kernel side writes: bpf/lib/records.h, field by field."""

import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

from habitus.text import decoded

HEAD: Final = struct.Struct("=QQIIII16s16s16s")
EXEC: Final = struct.Struct("=QQ12I16s128s")  # after the head; data follow
EXIT: Final = struct.Struct("=II")
NEW_CGROUP: Final = struct.Struct("=II96s1536s")
SETTINGS: Final = struct.Struct("=QII16s")

_COMM: Final = 16
_LEVEL: Final = 128
_IDS: Final = struct.Struct("=12Q")


class Kind(IntEnum):
    """enum record_kind."""

    NEW_CGROUP = 1
    EXEC = 2
    FORK = 3
    EXIT = 4


class PathFlag(IntFlag):
    """enum path_flag."""

    CUT = 1
    DELETED = 2
    NAMELESS = 4


class ArgvFlag(IntFlag):
    """enum argv_flag."""

    CUT = 1
    UNREAD = 2


class PreloadFlag(IntFlag):
    """enum preload_flag."""

    SET = 1
    CUT = 2
    BEYOND = 4
    UNREAD = 8


class ExeClass(IntEnum):
    """enum exe_class."""

    UNKNOWN = 0
    IMAGE = 1
    WRITABLE = 2
    MEMORY = 3


LOSS_CLASSES: Final = ("process", "file", "network", "container")


class RecordFault(ValueError):
    """Bytes that are no record: kernel side and user side were built from different sources."""

    def __init__(self) -> None:
        super().__init__("the kernel sends records that are unknown here: run make bpf")


class Head(NamedTuple):
    """What every record begins with. `time` is of the boot clock, in nanoseconds.

    `token`: 16 bytes that stand for all that a verdict depends on; all zero: not to be remembered.
    """

    time: int
    cgroup: int
    kind: int
    pid: int
    ppid: int
    uid: int
    comm: bytes
    parent: bytes
    token: bytes = b""


class NewCgroup(NamedTuple):
    """A cgroup that nobody sorted yet. `levels` from the top: (id, name)."""

    head: Head
    levels: tuple[tuple[int, str], ...]


class Exec(NamedTuple):
    """A new program, or with `running` one that ran before us. `argv` is None when it was unreadable.

    `preload` is the value of LD_PRELOAD, None where it is not set. `truncated`: something was cut.
    `parent_started` is of the boot clock, 0 where the parent is outside of the container.
    """

    head: Head
    exe: str
    exe_class: ExeClass
    cwd: str
    argv: list[str] | None
    preload: str | None
    ancestors: list[str]
    capabilities: int
    tty: str
    truncated: bool
    running: bool
    parent_started: int


class Fork(NamedTuple):
    """A new process: the head is the child's."""

    head: Head


class Exit(NamedTuple):
    """The end of a process. `code` is what it gave to exit(); `signal` what ended it, or 0."""

    head: Head
    code: int
    signal: int


Record = NewCgroup | Exec | Fork | Exit


def read(raw: bytes) -> Record:
    """Return the record in `raw`.

    Raises:
        RecordFault: it is none that this version knows.
    """
    head = head_of(raw)
    if head.kind not in _READERS:
        raise RecordFault
    return _READERS[head.kind](head, raw)


def head_of(raw: bytes) -> Head:
    """Return what every record begins with.

    Raises:
        RecordFault: too few bytes.
    """
    try:
        return Head._make(HEAD.unpack_from(raw))
    except struct.error:
        raise RecordFault from None


def time_of(raw: bytes) -> int:
    """Return the time of a record: its first field."""
    return int.from_bytes(raw[:8], sys.byteorder)


def name(raw: bytes) -> str:
    """Return a comm as text."""
    return decoded(raw.split(b"\0", 1)[0])


def path(raw: bytes, flags: int) -> str:
    """Return a walked path as text: like the links of /proc, but a memfd has no slash before it.

    `…` stands for an upper part that was too deep; ` (deleted)` for a file that no directory holds.
    """
    text = decoded(raw) or "/"
    if flags & PathFlag.NAMELESS:
        return f"{text.removeprefix('/')} (deleted)"
    if flags & PathFlag.CUT:
        text = f"…{text}"
    return f"{text} (deleted)" if flags & PathFlag.DELETED else text


def arguments(raw: bytes, flags: int) -> list[str] | None:
    """Split argv. A cut one ends with `…`, so that no reader takes it for the whole."""
    if flags & ArgvFlag.UNREAD:
        return None
    if not raw:
        return []
    if flags & ArgvFlag.CUT:
        parts = raw.split(b"\0")
        return [*map(decoded, parts[:-1]), decoded(parts[-1]) + "…"]
    return [decoded(part) for part in raw.removesuffix(b"\0").split(b"\0")]


def preload(raw: bytes, flags: int) -> str | None:
    """Return the value of LD_PRELOAD; two that differ are joined, and a cut one ends with `…`."""
    if not flags & PreloadFlag.SET:
        return None
    text = ":".join(dict.fromkeys(decoded(value) for value in raw.removesuffix(b"\0").split(b"\0")))
    return f"{text}…" if flags & PreloadFlag.CUT else text


def _exec(head: Head, raw: bytes) -> Exec:
    try:
        capabilities, parent_started, *fields, tty, comms = EXEC.unpack_from(raw, HEAD.size)
        lengths, (count, *flags) = fields[:4], fields[4:9]
        exe_class = ExeClass(fields[9])
    except (struct.error, ValueError):
        raise RecordFault from None
    exe_flags, argv_flags, preload_flags, cwd_flags = flags
    exe, argv, preloaded, cwd = _pieces(raw, HEAD.size + EXEC.size, lengths)
    cut = (exe_flags | cwd_flags) & PathFlag.CUT or argv_flags & ArgvFlag.CUT
    return Exec(
        head,
        path(exe, exe_flags),
        exe_class,
        path(cwd, cwd_flags),
        arguments(argv, argv_flags),
        preload(preloaded, preload_flags),
        [name(comms[at : at + _COMM]) for at in range(0, count * _COMM, _COMM)],
        capabilities,
        name(tty),
        bool(cut or preload_flags & PreloadFlag.CUT),
        bool(fields[10]),
        parent_started,
    )


def _pieces(raw: bytes, at: int, lengths: Sequence[int]) -> Iterator[bytes]:
    for length in lengths:
        yield raw[at : at + length]
        at += length


def _exit(head: Head, raw: bytes) -> Exit:
    return Exit(head, *EXIT.unpack_from(raw, HEAD.size))


def _fork(head: Head, raw: bytes) -> Fork:
    del raw
    return Fork(head)


def new_cgroup(head: Head, raw: bytes) -> NewCgroup:
    """Return the announcement of a cgroup."""
    depth, _, ids, names = NEW_CGROUP.unpack_from(raw, HEAD.size)
    upwards = [
        (number, name(names[at * _LEVEL : (at + 1) * _LEVEL]))
        for at, number in enumerate(_IDS.unpack(ids)[:depth])
    ]
    return NewCgroup(head, tuple(reversed(upwards)))


PROCESS: Final[dict[int, Callable[[Head, bytes], Exec | Fork | Exit]]] = {
    Kind.EXEC: _exec,
    Kind.FORK: _fork,
    Kind.EXIT: _exit,
}
_READERS: Final[dict[int, Callable[[Head, bytes], Record]]] = {Kind.NEW_CGROUP: new_cgroup, **PROCESS}

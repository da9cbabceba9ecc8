# SPDX-License-Identifier: Apache-2.0
"""Reads what common.c and programs.c send, field by field, and says it as events."""

import ipaddress
import os
import posixpath
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from habitus.events import Event, File, Network, Op, Process
from habitus.text import decoded
from habitus_collector.clock import Clock
from habitus_collector.records import RecordFault, name
from habitus_collector.translate import NOBODY

PARTS: Final = 20
PART_BYTES: Final = 96
ARGV_BYTES: Final = 4096
"""Room for arguments in a record, as child.py says it to the programs; the last byte stays free."""
_NAMES: Final = 8
_COMM: Final = 16
_TEXT: Final = 512

HEAD: Final = struct.Struct("=QQIIII16s16s")
_PATH: Final = struct.Struct(f"=II{PARTS * PART_BYTES}s")
_GROUP: Final = struct.Struct(f"={_TEXT}s")
_EXEC: Final = struct.Struct(f"=IIII{_NAMES * _COMM}s")  # then a path, then argv
_EXIT: Final = struct.Struct("=II")
_OPEN: Final = struct.Struct("=II")  # then a path
_NAME: Final = struct.Struct("=II")  # then a path, then two names
_FLOW: Final = struct.Struct("=IHHHHI16s")

GROUP, EXEC, FORK, EXIT, _OPEN_KIND, _NAME_KIND, _FLOW_KIND = range(1, 8)
_CUT, _CREATED, _NAMELESS = 1, 2, 4
_ARGV_CUT, _ARGV_UNREAD = 1, 2
_UNLINK, _RENAME = 1, 2
_FLOW_OPS: Final[dict[int, Op]] = {1: "connect", 2: "accept", 3: "listen"}
_INET: Final = 2
_SAID: Final = {os.O_APPEND: "append", os.O_DIRECTORY: "directory"}
_ACCESS: Final = {os.O_RDONLY: ["read"], os.O_WRONLY: ["write"], os.O_RDWR: ["read", "write"]}


class Head(NamedTuple):
    """What every record begins with. `time` is of the monotonic clock, in nanoseconds."""

    time: int
    cgroup: int
    kind: int
    pid: int
    ppid: int
    uid: int
    comm: bytes
    parent: bytes


def head_of(raw: bytes) -> Head:
    """Return what every record begins with.

    Raises:
        RecordFault: too few bytes.
    """
    if len(raw) < HEAD.size:
        raise RecordFault
    return Head._make(HEAD.unpack_from(raw))


def group_path(raw: bytes) -> str:
    """Return the path of a new cgroup inside the tree."""
    (text,) = _GROUP.unpack_from(raw, HEAD.size)
    return decoded(text.split(b"\0", 1)[0])


def event_of(raw: bytes, clock: Clock, node: str) -> Event | None:
    """Return the event that a record tells of, without its container, or None when it is none.

    Raises:
        RecordFault: it is none that this version knows.
    """
    head = head_of(raw)
    reader = _READERS.get(head.kind)
    if reader is None:
        raise RecordFault
    event = Event(
        ts=clock.wall(head.time),
        node=node,
        class_="process",
        op="fork",
        container=NOBODY,
        process=_actor(head),
    )
    try:
        return reader(event, raw)
    except (struct.error, ValueError, KeyError):
        raise RecordFault from None


def _actor(head: Head) -> Process:
    return Process(
        pid=head.pid, ppid=head.ppid, uid=head.uid, name=name(head.comm), parent=name(head.parent)
    )  # fmt: skip


def _path(raw: bytes, at: int) -> tuple[str, int]:
    """Return a path and its flags; `…` stands for an upper part that was too deep."""
    count, flags, parts = _PATH.unpack_from(raw, at)
    found = [
        decoded(parts[place * PART_BYTES : (place + 1) * PART_BYTES].split(b"\0", 1)[0])
        for place in range(min(count, PARTS))
    ]
    text = "/" + "/".join(reversed(found))
    if flags & _NAMELESS:
        return f"{text[1:]} (deleted)", flags
    return (f"…{text}" if flags & _CUT else text), flags


def _exec(event: Event, raw: bytes) -> Event:
    count, argv_flags, length, _, comms = _EXEC.unpack_from(raw, HEAD.size)
    at = HEAD.size + _EXEC.size
    process = event.process or Process()
    process.exe, flags = _path(raw, at)
    argv = raw[at + _PATH.size :][:length]
    process.argv = None if argv_flags & _ARGV_UNREAD else _arguments(argv, cut=bool(argv_flags & _ARGV_CUT))
    process.ancestors = [
        name(comms[place * _COMM : (place + 1) * _COMM]) for place in range(min(count, _NAMES))
    ]
    process.truncated = bool(argv_flags & _ARGV_CUT) or bool(flags & _CUT)
    event.op = "exec"
    return event


def _arguments(raw: bytes, *, cut: bool) -> list[str]:
    if not raw:
        return []
    words = [decoded(word) for word in (raw if cut else raw.removesuffix(b"\0")).split(b"\0")]
    return [*words[:-1], words[-1] + "…"] if cut else words


def _fork(event: Event, raw: bytes) -> Event:
    del raw
    return event


def _exit(event: Event, raw: bytes) -> Event:
    process = event.process or Process()
    process.exit_code, process.exit_signal = _EXIT.unpack_from(raw, HEAD.size)
    event.op = "exit"
    return event


def _open(event: Event, raw: bytes) -> Event | None:
    how, _ = _OPEN.unpack_from(raw, HEAD.size)
    if how & os.O_PATH:
        return None  # it only names a file
    path, flags = _path(raw, HEAD.size + _OPEN.size)
    said = [word for flag, word in _SAID.items() if how & flag]
    event.class_, event.op = "file", "create" if flags & _CREATED else "open"
    event.file = File(path=path, flags=[*_ACCESS.get(how & os.O_ACCMODE, ["write"]), *said])
    return event


def _name(event: Event, raw: bytes) -> Event:
    op, elsewhere = _NAME.unpack_from(raw, HEAD.size)
    at = HEAD.size + _NAME.size
    base, _ = _path(raw, at)
    old, new = struct.unpack_from(f"={_TEXT}s{_TEXT}s", raw, at + _PATH.size)
    event.class_, event.op = "file", "rename" if op == _RENAME else "unlink"
    event.file = File(path=_joined(base, old), flags=[])
    if op == _RENAME:
        event.file.new_path = _joined("…" if elsewhere else base, new)
    return event


def _joined(base: str, raw: bytes) -> str:
    text = raw.split(b"\0", 1)[0]
    whole = posixpath.normpath(posixpath.join(base, decoded(text)))
    return f"{whole}…" if len(text) == _TEXT - 1 else whole


def _flow(event: Event, raw: bytes) -> Event:
    op, family, _, remote_port, local_port, _, remote = _FLOW.unpack_from(raw, HEAD.size)
    event.class_, event.op = "network", _FLOW_OPS[op]
    listens = event.op == "listen"
    event.network = Network(
        direction="egress" if event.op == "connect" else "ingress",
        protocol="tcp",
        remote_ip=None if listens else _address(remote if family != _INET else remote[:4]),
        remote_port=None if listens else remote_port,
        local_port=local_port or None,
    )
    return event


def _address(raw: bytes) -> str:
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


_READERS: Final[dict[int, Callable[[Event, bytes], Event | None]]] = {
    EXEC: _exec,
    FORK: _fork,
    EXIT: _exit,
    _OPEN_KIND: _open,
    _NAME_KIND: _name,
    _FLOW_KIND: _flow,
}

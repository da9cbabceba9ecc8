# SPDX-License-Identifier: Apache-2.0
"""What a verdict on an event depends on, as a key that is cheap to make: the same key, the same verdict.

Names, paths and command lines stand in it in their normal form, so that one who makes ids up at will fills
no memory and is known at once. Other lists stand in it as in msgpack: one value to compare.
"""

from typing import Final

import msgspec

from habitus.events import Event
from habitus_profiler import forms, habits

Key = tuple[object, ...]

EVIDENCE: Final = frozenset({"fork", "exit", "close", "usage", "lost"})
"""Operations that are neither learned nor judged."""

NOTHING: Final = frozenset({b"", b"\x90"})
"""No list, or an empty one, as msgpack."""

_encode: Final = msgspec.msgpack.Encoder().encode


def is_habit(event: Event) -> bool:
    """Say whether an event is learned and judged; the others are evidence only."""
    return event.op not in EVIDENCE


def key_of(event: Event) -> Key | None:
    """Return the key of an event, None for what has none: its verdict is not to be remembered."""
    try:
        if event.class_ == "process":
            return _process(event)
        if event.class_ == "file":
            return _file(event)
        return _network(event) if event.class_ == "network" else None
    except UnicodeEncodeError:
        return None  # half a character, which cannot cross the wire


def process_key(name: str, parent: str, exe: str | None, exe_class: str | None, argv: bytes) -> Key:
    """Return the key of an exec; `argv` is msgpack, empty where there is none."""
    said = name if argv in NOTHING else forms.sign_of(argv)
    return "process", habits.name_of(name), habits.name_of(parent), exe, exe_class, said


def file_key(op: str, name: str, path: str, new_path: str | None, *, told: bool, flags: bytes) -> Key:
    """Return the key of a file event; `told`: whether it says how many bytes, `flags`: msgpack or empty."""
    to = habits.segments(new_path) if new_path else None
    return "file", op, habits.name_of(name), told, flags, habits.segments(path), to


def network_key(
    op: str,
    name: str,
    *,
    direction: str | None,
    protocol: str | None,
    domain: str | None,
    remote_ip: str | None,
    remote_port: int | None,
    local_port: int | None,
    path: str | None,
    peer: bytes,
) -> Key:
    """Return the key of a network event; `peer` is msgpack, empty where nobody knows whose the address is."""
    incoming = habits.is_incoming(op, direction)
    named = None if incoming or not domain else habits.named_end(domain)
    far = named or habits.other_end(remote_ip, incoming=incoming)
    port = local_port if incoming else remote_port
    socket = habits.segments(path[:4096]) if path else None
    return "network", op, habits.name_of(name), direction, protocol, named is None, far, port, socket, peer


def evidence_key(class_: str, op: str) -> Key:
    """Return the key of all evidence of one kind."""
    return class_, op


def _packed(part: object) -> bytes:
    return b"" if part is None else _encode(part)


def _process(event: Event) -> Key | None:
    process = event.process
    if process is None:
        return None
    if event.op in EVIDENCE:
        return evidence_key("process", event.op)
    argv = _packed(process.argv)
    return process_key(event.process_name, event.parent_name, process.exe, process.exe_class, argv)


def _file(event: Event) -> Key | None:
    file = event.file
    if file is None or not file.path:
        return None
    if event.op in EVIDENCE:
        return evidence_key("file", event.op)
    told, flags = file.bytes is not None, _packed(file.flags)
    return file_key(event.op, event.process_name, file.path, file.new_path, told=told, flags=flags)


def _network(event: Event) -> Key | None:
    net = event.network
    if net is None:
        return None
    if event.op in EVIDENCE:
        return evidence_key("network", event.op)
    return network_key(
        event.op,
        event.process_name,
        direction=net.direction,
        protocol=net.protocol,
        domain=net.domain,
        remote_ip=net.remote_ip,
        remote_port=net.remote_port,
        local_port=net.local_port,
        path=net.path,
        peer=_packed(net.peer),
    )

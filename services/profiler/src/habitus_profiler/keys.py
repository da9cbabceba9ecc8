# SPDX-License-Identifier: Apache-2.0
"""What a verdict on an event depends on, as a key that is cheap to make: the same key, the same verdict."""

from typing import Final

from habitus.events import Event
from habitus_profiler import habits

Key = tuple[object, ...]

EVIDENCE: Final = frozenset({"fork", "exit", "close", "usage", "lost"})
"""Operations that are neither learned nor judged."""


def is_habit(event: Event) -> bool:
    """Say whether an event is learned and judged; the others are evidence only."""
    return event.op not in EVIDENCE


def key_of(event: Event) -> Key | None:
    """Return the key of an event, None for what is no habit of its own."""
    if event.op in EVIDENCE:
        return None
    if event.class_ == "process":
        return _process(event)
    return _file(event) if event.class_ == "file" else _network(event)


def _process(event: Event) -> Key | None:
    process = event.process
    if process is None:
        return None
    return (
        process.parent,
        process.name,
        process.exe,
        process.exe_class,
        *(process.argv or ()),
        event.parent_name,
    )


def _file(event: Event) -> Key | None:
    file = event.file
    if file is None:
        return None
    return (event.process_name, event.op, file.bytes is None, file.path, file.new_path, *(file.flags or ()))


def _network(event: Event) -> Key | None:
    net = event.network
    if net is None:
        return None
    if habits.comes_in(event):
        ends: Key = (net.remote_ip, net.local_port)
    else:
        ends = (net.domain or net.remote_ip, net.domain is None, net.remote_port)
    return (event.process_name, event.op, net.direction, net.protocol, *ends, net.path)

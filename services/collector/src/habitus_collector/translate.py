# SPDX-License-Identifier: Apache-2.0
"""Kernel records → events. The container is put in later, by who knows it."""

import re
from typing import Final, Literal

from habitus.events import Container, Event, Op, Process
from habitus_collector import records
from habitus_collector.clock import Clock

NOBODY: Final = Container()
"""Stands in an event until somebody names its container."""
_OPS: Final[dict[int, Op]] = {
    records.Kind.EXEC: "exec",
    records.Kind.FORK: "fork",
    records.Kind.EXIT: "exit",
}
_CLASSES: Final[dict[records.ExeClass, Literal["image", "writable", "memory"]]] = {
    records.ExeClass.IMAGE: "image",
    records.ExeClass.WRITABLE: "writable",
    records.ExeClass.MEMORY: "memory",
}
_PTS: Final = re.compile(r"pts(?=\d)")


def actor(head: records.Head) -> Process:
    """Return the process that acted, as far as every record tells of it."""
    return Process(
        pid=head.pid,
        ppid=head.ppid,
        name=records.name(head.comm),
        parent=records.name(head.parent),
        uid=head.uid,
    )


def event_of(record: records.Exec | records.Fork | records.Exit, clock: Clock, node: str) -> Event:
    """Return the event that a record tells of, without its container."""
    head = record.head
    process = actor(head)
    if isinstance(record, records.Exec):
        _add_program(process, record, clock)
    elif isinstance(record, records.Exit):
        process.exit_code, process.exit_signal = record.code, record.signal
    return Event(
        ts=clock.wall(head.time),
        node=node,
        class_="process",
        op=_OPS[head.kind],
        container=NOBODY,
        process=process,
        token=token_of(head),
    )


def token_of(head: records.Head) -> bytes:
    """Return the token of an event as it crosses the wire: none at all for what has none."""
    return head.token if any(head.token) else b""


def _add_program(process: Process, record: records.Exec, clock: Clock) -> None:
    process.exe, process.cwd, process.argv = record.exe, record.cwd, record.argv
    process.exe_class = _CLASSES.get(record.exe_class)
    process.ancestors = record.ancestors
    process.capabilities = f"{record.capabilities:016x}"
    process.tty = _PTS.sub("pts/", record.tty, count=1) or None
    process.preload = record.preload
    process.truncated = record.truncated
    process.running = record.running
    if record.parent_started:
        process.parent_started = clock.wall(record.parent_started)

# SPDX-License-Identifier: Apache-2.0
"""Kernel records → events. The container is put in later, by who knows it."""

from typing import Final

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
        process.exe, process.cwd, process.argv = record.exe, record.cwd, record.argv
        process.ancestors = record.ancestors
    return Event(
        ts=clock.wall(head.time),
        node=node,
        class_="process",
        op=_OPS[head.kind],
        container=NOBODY,
        process=process,
    )

# SPDX-License-Identifier: Apache-2.0
"""Kernel records → events. The container is put in later, by who knows it."""

import time
from typing import Final

from habitus.events import Container, Event, Op, Process
from habitus_collector import records

_NOBODY: Final = Container()
_OPS: Final[dict[int, Op]] = {
    records.Kind.EXEC: "exec",
    records.Kind.FORK: "fork",
    records.Kind.EXIT: "exit",
}


class Clock:
    """Turns the kernel's boot clock into nanoseconds since the epoch."""

    def __init__(self) -> None:
        self._offset = 0
        self.adjust()

    def adjust(self) -> None:
        """Follow the wall clock: it may have been set meanwhile."""
        self._offset = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall(self, boot: int) -> int:
        """Return the wall clock's reading at `boot`."""
        return boot + self._offset


def event_of(record: records.Exec | records.Fork | records.Exit, clock: Clock, node: str) -> Event:
    """Return the event that a record tells of, without its container."""
    head = record.head
    process = Process(
        pid=head.pid,
        ppid=head.ppid,
        name=records.name(head.comm),
        parent=records.name(head.parent),
        uid=head.uid,
    )
    if isinstance(record, records.Exec):
        process.exe, process.cwd, process.argv = record.exe, record.cwd, record.argv
        process.ancestors = record.ancestors
    return Event(
        ts=clock.wall(head.time),
        node=node,
        class_="process",
        op=_OPS[head.kind],
        container=_NOBODY,
        process=process,
    )

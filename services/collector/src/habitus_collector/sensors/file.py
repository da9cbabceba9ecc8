# SPDX-License-Identifier: Apache-2.0
"""Files: open, create, read, write, rename, unlink, chmod, link, mount, and modules of the kernel."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from habitus.events import Event, File, Op
from habitus_collector import file_records
from habitus_collector.clock import Clock
from habitus_collector.file_records import FileFlag, FileOp
from habitus_collector.records import Head
from habitus_collector.sensors import Reader, Sensor, Surroundings
from habitus_collector.translate import NOBODY, actor, token_of

_OPS: Final[dict[FileOp, Op]] = {
    FileOp.OPEN: "open",
    FileOp.CREATE: "create",
    FileOp.RENAME: "rename",
    FileOp.UNLINK: "unlink",
    FileOp.CHMOD: "chmod",
    FileOp.LINK: "link",
    FileOp.MOUNT: "mount",
    FileOp.READ: "read",
    FileOp.WRITE: "write",
    FileOp.LOAD: "load",
}
_USES: Final = 4096
"""Open files of which sums may still come: USES_MAX of bpf/lib/file_uses.h."""
_PATH_KEPT: Final = 1024
"""A longer path is not kept: what a process may make us remember is bounded."""
_FLAGS: Final = {flag: str(flag.name).lower() for flag in FileFlag}


def event_of(head: Head, raw: bytes, clock: Clock, node: str) -> Event:
    """Return the event of a file record."""
    record = file_records.read(head, raw)
    flags = [word for flag, word in _FLAGS.items() if flag & record.flags]
    return Event(
        ts=clock.wall(head.time),
        node=node,
        class_="file",
        op=_OPS[record.op],
        container=NOBODY,
        process=actor(head),
        file=File(
            path=record.path,
            new_path=record.new_path,
            flags=flags,
            mode=file_records.mode_of(record),
            owner=file_records.owner_of(record),
            bytes=file_records.bytes_of(record),
        ),
        token=token_of(head),
    )


class Reading:
    """Turns records into events, and keeps the paths of open files for the sums at their end."""

    def __init__(self) -> None:
        self._paths: OrderedDict[tuple[int, int], str] = OrderedDict()

    def file(self, head: Head, raw: bytes, clock: Clock, node: str) -> Event:
        """Return the event of a file record."""
        event = event_of(head, raw, clock, node)
        if event.file and event.file.bytes and len(event.file.path or "") <= _PATH_KEPT:
            self._paths[head.pid, head.time] = event.file.path or ""
            if len(self._paths) > _USES:
                self._paths.popitem(last=False)
        return event

    def total(self, head: Head, raw: bytes, clock: Clock, node: str) -> Event | None:
        """Return the sums of an open file's use, or None where its first record was lost."""
        record = file_records.total(head, raw)
        path = self._paths.pop((head.pid, record.first), None)
        if path is None:
            return None
        return Event(
            ts=clock.wall(head.time),
            node=node,
            class_="file",
            op="close",
            container=NOBODY,
            process=actor(head),
            file=File(path=path, read=record.read, written=record.written),
        )


def _reading(around: Surroundings) -> Mapping[int, Reader]:
    del around
    reading = Reading()
    return {file_records.KIND: reading.file, file_records.KIND_TOTAL: reading.total}


# Which processes have arrived in their container is what the process sensor finds out.
SENSOR: Final = Sensor(
    "file.bpf.o",
    {},
    cheaper="file_fentry.bpf.o",
    reading=_reading,
    needs=("process",),
    ring_bytes=4 << 20,
)

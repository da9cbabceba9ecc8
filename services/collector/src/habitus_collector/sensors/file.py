# SPDX-License-Identifier: Apache-2.0
"""Files: open, create, rename, unlink, chmod, link, mount, and modules of the kernel."""

from typing import Final

from habitus.events import Event, File, Op
from habitus_collector import file_records
from habitus_collector.clock import Clock
from habitus_collector.file_records import FileFlag, FileOp
from habitus_collector.records import Head
from habitus_collector.sensors import Sensor
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
        ),
        token=token_of(head),
    )


# Which processes have arrived in their container is what the process sensor finds out.
SENSOR: Final = Sensor("file.bpf.o", {file_records.KIND: event_of}, needs=("process",), ring_bytes=4 << 20)

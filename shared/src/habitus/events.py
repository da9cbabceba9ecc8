# SPDX-License-Identifier: Apache-2.0
"""The event: one process, file or network activity of one container, as it crosses the wire.

The same structs are the interchange format (JSON Lines, docs/interchange.md) and the wire format
(msgpack batches). Absent parts are `None` and are left out when written.
"""

from typing import Any, Final, Literal, get_args

import msgspec

EventClass = Literal["process", "file", "network"]
Op = Literal[
    "exec", "fork", "exit",
    "open", "read", "write", "create", "rename", "unlink", "chmod", "link", "mount",
    "connect", "accept", "listen", "send", "receive", "dns",
]  # fmt: skip

EVENT_CLASSES: Final[tuple[EventClass, ...]] = get_args(EventClass)
OPS: Final[dict[str, frozenset[str]]] = {
    "process": frozenset({"exec", "fork", "exit"}),
    "file": frozenset({"open", "read", "write", "create", "rename", "unlink", "chmod", "link", "mount"}),
    "network": frozenset({"connect", "accept", "listen", "send", "receive", "dns"}),
}  # fmt: skip


class Part(msgspec.Struct, omit_defaults=True, gc=False):
    """A part of an event: defaults are left out when written."""


class Pod(Part):
    """The Kubernetes Pod that a container belongs to."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None


class Container(Part):
    """A container as its runtime names it. `image` is a reference such as `webapp:v1`."""

    id: str | None = None
    name: str | None = None
    image: str | None = None
    image_digest: str | None = None
    pod: Pod | None = None


class Process(Part):
    """The process that acted. `name` is its comm, `parent` the comm of its parent.

    `ancestors` starts at the parent and goes up to the container's first process.
    """

    pid: int | None = None
    ppid: int | None = None
    exe: str | None = None
    name: str | None = None
    parent: str | None = None
    argv: list[str] | None = None
    cwd: str | None = None
    uid: int | None = None
    ancestors: list[str] | None = None


class File(Part):
    """A file as the container sees its path; `new_path` for rename and link."""

    path: str | None = None
    new_path: str | None = None
    flags: list[str] | None = None


class Network(Part):
    """One end-to-end activity. `direction` is seen from the container."""

    direction: Literal["ingress", "egress"] | None = None
    protocol: str | None = None
    remote_ip: str | None = None
    remote_port: int | None = None
    local_port: int | None = None
    domain: str | None = None


class Event(Part, kw_only=True):
    """One activity. `ts` is nanoseconds since the epoch; `id` is unique for good.

    `id` is no part of the interchange format: who publishes the event gives it.
    """

    ts: int
    node: str | None = None
    class_: EventClass = msgspec.field(name="class")
    op: Op
    container: Container
    process: Process | None = None
    file: File | None = None
    network: Network | None = None
    id: str = ""

    @property
    def process_name(self) -> str:
        """The name that profiles use: comm, else the last part of exe, else of argv[0], else `?`."""
        process = self.process
        if process is None:
            return "?"
        return process.name or _basename(process.exe) or _basename((process.argv or [""])[0]) or "?"

    @property
    def parent_name(self) -> str:
        """Comm of the parent; empty for the first process of a container."""
        process = self.process
        if process is None:
            return ""
        return process.parent or (process.ancestors or [""])[0]


def _basename(path: str | None) -> str:
    return path.rsplit("/", 1)[-1] if path else ""


def fault_of(event: Event) -> str | None:
    """Say what keeps `event` from being judged, naming the key, or None when nothing does."""
    if not event.container.image:
        return "container.image is missing: an event belongs to an image"
    if event.op not in OPS[event.class_]:
        return f"op {event.op!r} is none of class {event.class_!r}"
    if event.class_ == "process" and event.process is None:
        return "process is missing, and the class is 'process'"
    if event.class_ == "file" and (event.file is None or not event.file.path):
        return "file.path is missing, and the class is 'file'"
    if event.class_ == "network" and event.network is None:
        return "network is missing, and the class is 'network'"
    return None


def as_record(event: Event) -> dict[str, Any]:
    """Return the event as plain builtins in the interchange format (without `id`)."""
    record: dict[str, Any] = msgspec.to_builtins(event)
    record.pop("id", None)
    return record

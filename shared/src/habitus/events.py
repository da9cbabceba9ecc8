# SPDX-License-Identifier: Apache-2.0
"""The event: one process, file or network activity of one container, as it crosses the wire.

The same structs are the interchange format (JSON Lines, docs/interchange.md) and the wire format
(msgpack batches). Absent parts are `None` and are left out when written.
"""

from typing import Annotated, Any, Final, Literal, get_args

import msgspec

EventClass = Literal["process", "file", "network", "cpu"]
Op = Literal[
    "exec", "fork", "exit",
    "open", "read", "write", "create", "rename", "unlink", "chmod", "link", "mount", "load",
    "connect", "accept", "listen", "send", "receive", "dns", "close",
    "usage",
    "lost",
]  # fmt: skip

EVENT_CLASSES: Final[tuple[EventClass, ...]] = get_args(EventClass)
OPS: Final[dict[str, frozenset[str]]] = {
    "process": frozenset({"exec", "fork", "exit"}),
    "file": frozenset({"open", "read", "write", "create", "rename", "unlink", "chmod", "link", "mount",
                       "load", "close"}),
    "network": frozenset({"connect", "accept", "listen", "send", "receive", "dns", "close"}),
    "cpu": frozenset({"usage"}),
}  # fmt: skip

_PARTS: Final = {"process": "process", "file": "file", "network": "network", "cpu": "usage"}
"""Class → the part that its events must have."""

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What msgpack can carry: a longer number in a recording is a bad line, not a broken batch."""


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

    Attributes:
        exe_class: where the program's file lives: `image` (a layer of the image), `writable` (the
            container's own layer, a volume, a tmpfs), `memory` (memfd and the like).
        truncated: argv or a path was cut at the limit.
        capabilities: the effective set as a hex mask, as CapEff in /proc/PID/status.
        tty: name of the controlling terminal, such as `pts/0`.
        preload: value of LD_PRELOAD.
        exit_code, exit_signal: of op `exit`; the signal that ended it, else 0.
        running: it ran before the collector came, and is listed once as an exec.
        parent_started: of op `exec`, when its parent was started: nanoseconds since the epoch.
    """

    pid: Number | None = None
    ppid: Number | None = None
    exe: str | None = None
    name: str | None = None
    parent: str | None = None
    argv: list[str] | None = None
    cwd: str | None = None
    uid: Number | None = None
    ancestors: list[str] | None = None
    exe_class: Literal["image", "writable", "memory"] | None = None
    truncated: bool = False
    capabilities: str | None = None
    tty: str | None = None
    preload: str | None = None
    exit_code: Number | None = None
    exit_signal: Number | None = None
    running: bool = False
    parent_started: Number | None = None


class File(Part):
    """A file as the container sees its path; `new_path` for rename and link.

    Attributes:
        bytes: of op `read` and `write`: how many were read or written; our own collector tells the first
            call of each kind on an open file.
        read, written: bytes in all, of op `close`.
        mode: of op `chmod`: the new permission bits, in octal (`4755`).
        owner: of op `chmod` with the flag `owner`: `uid:gid`, `-` for what stays.
        via: `io_uring` for what was asked through it.
    """

    path: str | None = None
    new_path: str | None = None
    flags: list[str] | None = None
    bytes: Number | None = None
    read: Number | None = None
    written: Number | None = None
    mode: str | None = None
    owner: str | None = None
    via: str | None = None


class Peer(Part):
    """The other end of a flow, where this node knows whose address it is."""

    container: str | None = None
    image: str | None = None
    pod: Pod | None = None
    service: str | None = None


class Network(Part):
    """One end-to-end activity. `direction` is seen from the container.

    Attributes:
        path: of a Unix socket, with protocol `unix`.
        peer: whose address `remote_ip` is.
        outcome: of a TCP connect that is over: `established`, `refused`, `timeout`, `failed`.
        sent, received: bytes, and `duration_ns`, of op `close`.
        via: `io_uring` for what was asked through it.
    """

    direction: Literal["ingress", "egress"] | None = None
    protocol: str | None = None
    remote_ip: str | None = None
    remote_port: Number | None = None
    local_port: Number | None = None
    domain: str | None = None
    path: str | None = None
    peer: Peer | None = None
    outcome: str | None = None
    sent: Number | None = None
    received: Number | None = None
    duration_ns: Number | None = None
    via: str | None = None


class Usage(Part):
    """Processor use of one container over the last `window_s` seconds, in cores (1.5: one and a half)."""

    cores: float
    window_s: float


class Lost(Part):
    """How many events of which class were lost, between two moments (nanoseconds since the epoch).

    Stands in an event of op `lost`, which no collector sends: it is what a blind interval is told by.
    """

    counts: dict[str, int]
    since: Number
    until: Number


class Event(Part, kw_only=True):
    """One activity. `ts` is nanoseconds since the epoch; `id` is unique for good.

    `id` and `token` are no part of the interchange format. Who publishes the event gives the id;
    the token stands for all that a verdict on it depends on, and comes back in `wire.Verdicts`.
    """

    ts: Number
    node: str | None = None
    class_: EventClass = msgspec.field(name="class")
    op: Op
    container: Container
    process: Process | None = None
    file: File | None = None
    network: Network | None = None
    usage: Usage | None = None
    lost: Lost | None = None
    id: str = ""
    token: bytes = b""

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
    part = _PARTS[event.class_]
    value = getattr(event, part)
    if event.class_ == "file" and not (value and value.path):
        return "file.path is missing, and the class is 'file'"
    if value is None:
        return f"{part} is missing, and the class is {event.class_!r}"
    return None


def as_record(event: Event) -> dict[str, Any]:
    """Return the event as plain builtins in the interchange format (without `id` and `token`)."""
    record: dict[str, Any] = msgspec.to_builtins(event)
    record.pop("id", None)
    record.pop("token", None)
    return record

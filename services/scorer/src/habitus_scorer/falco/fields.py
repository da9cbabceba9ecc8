# SPDX-License-Identifier: Apache-2.0
"""Falco's field names over our events: the one place where they are spelt.

What our collector tells differs from system calls in two ways that matter here: calls that failed are
not told, and a flow is told once for each new peer. Fields that this makes certain are constants.
"""

import posixpath
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from habitus.anomalies import Anomaly
from habitus.events import Event, File, Network, Process

Value = str | int
Found = Value | Sequence[Value] | None
Reader = Callable[[Anomaly], Found]

_CALLS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("process", "exec"): ("execve", "execveat"),
    ("process", "fork"): ("clone", "clone3", "fork", "vfork"),
    ("process", "exit"): ("procexit",),
    ("file", "open"): ("open", "openat", "openat2"),
    ("file", "read"): ("read", "pread", "readv", "preadv"),
    ("file", "write"): ("write", "pwrite", "writev", "pwritev"),
    ("file", "create"): ("open", "openat", "openat2", "creat"),
    ("file", "create directory"): ("mkdir", "mkdirat"),
    ("file", "create device"): ("mknod", "mknodat"),
    ("file", "rename"): ("rename", "renameat", "renameat2"),
    ("file", "unlink"): ("unlink", "unlinkat"),
    ("file", "unlink directory"): ("rmdir", "unlinkat"),
    ("file", "chmod"): ("chmod", "fchmod", "fchmodat"),
    ("file", "chmod owner"): ("chown", "fchown", "lchown", "fchownat"),
    ("file", "link"): ("link", "linkat"),
    ("file", "link symbolic"): ("symlink", "symlinkat"),
    ("file", "mount"): ("mount",),
    ("file", "mount unmount"): ("umount", "umount2"),
    ("file", "mount chroot"): ("chroot",),
    ("file", "mount pivot"): ("pivot_root",),
    ("file", "load"): ("init_module", "finit_module"),
    ("file", "load unload"): ("delete_module",),
    ("network", "connect"): ("connect",),
    ("network", "accept"): ("accept", "accept4"),
    ("network", "listen"): ("listen",),
    ("network", "send"): ("sendto", "sendmsg", "sendmmsg"),
    ("network", "receive"): ("recvfrom", "recvmsg", "recvmmsg"),
}
CALLS: Final = frozenset(name for names in _CALLS.values() for name in names)
"""Every system call that some event stands for."""

_TELLING: Final = ("directory", "device", "owner", "symbolic", "unmount", "chroot", "pivot", "unload")
_MODE_BITS: Final = (
    (0o4000, "S_ISUID"), (0o2000, "S_ISGID"), (0o1000, "S_ISVTX"),
    (0o400, "S_IRUSR"), (0o200, "S_IWUSR"), (0o100, "S_IXUSR"),
    (0o040, "S_IRGRP"), (0o020, "S_IWGRP"), (0o010, "S_IXGRP"),
    (0o004, "S_IROTH"), (0o002, "S_IWOTH"), (0o001, "S_IXOTH"),
)  # fmt: skip
_CAPABILITIES: Final = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL",
    "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip


def calls_of(event: Event) -> tuple[str, ...]:
    """Return the names of the system calls that `event` may have been."""
    flags = (event.file.flags if event.file else None) or ()
    for flag in _TELLING:
        if flag in flags and (event.class_, f"{event.op} {flag}") in _CALLS:
            return _CALLS[event.class_, f"{event.op} {flag}"]
    return _CALLS.get((event.class_, event.op), ())


def _arguments(process: Process) -> str | None:
    return None if process.argv is None else " ".join(process.argv[1:])


def _capabilities(process: Process) -> str | None:
    try:
        mask = int(process.capabilities or "", 16)
    except ValueError:
        return None
    return " ".join(f"CAP_{name}" for bit, name in enumerate(_CAPABILITIES) if mask >> bit & 1)


def _flagged(value: bool) -> str:  # noqa: FBT001  # it is the value itself
    return "true" if value else "false"


def _class_is(name: str) -> Callable[[Process], str | None]:
    return lambda process: _flagged(process.exe_class == name) if process.exe_class else None


_PROCESS: Final[dict[str, Callable[[Process], Found]]] = {
    "proc.pid": lambda process: process.pid,
    "proc.ppid": lambda process: process.ppid,
    "proc.exe": lambda process: process.argv[0] if process.argv else None,
    "proc.exepath": lambda process: process.exe,
    "proc.args": _arguments,
    "proc.cmdnargs": lambda process: len(process.argv) - 1 if process.argv else None,
    "proc.cwd": lambda process: process.cwd,
    "proc.tty": lambda process: 1 if process.tty else 0,
    "proc.aname": lambda process: process.ancestors,
    "proc.is_exe_upper_layer": _class_is("writable"),
    "proc.is_exe_from_memfd": _class_is("memory"),
    "thread.cap_effective": _capabilities,
    "user.uid": lambda process: process.uid,
    "user.name": lambda process: None if process.uid is None else ("root" if not process.uid else "?"),
    "proc.env": lambda process: f"LD_PRELOAD={process.preload}" if process.preload else None,
}


def _outward(network: Network) -> bool:
    return network.direction != "ingress"


_FLOW: Final[dict[str, Callable[[Network], Found]]] = {
    "fd.l4proto": lambda network: network.protocol,
    "fd.rip": lambda network: network.remote_ip,
    "fd.rport": lambda network: network.remote_port,
    "fd.lport": lambda network: network.local_port,
    "fd.sip": lambda network: network.remote_ip if _outward(network) else None,
    "fd.cip": lambda network: None if _outward(network) else network.remote_ip,
    "fd.ip": lambda network: network.remote_ip,
    "fd.sport": lambda network: network.remote_port if _outward(network) else network.local_port,
    "fd.cport": lambda network: network.local_port if _outward(network) else network.remote_port,
    "fd.port": lambda network: [each for each in (network.remote_port, network.local_port) if each],
    "fd.sip.name": lambda network: network.domain if _outward(network) else None,
    "fd.rip.name": lambda network: network.domain,
}
_NETWORK: Final = {
    **_FLOW,
    "fd.net": _FLOW["fd.ip"],
    "fd.snet": _FLOW["fd.sip"],
    "fd.cnet": _FLOW["fd.cip"],
    "fd.rnet": _FLOW["fd.rip"],
}
NETS: Final = frozenset({"fd.net", "fd.snet", "fd.cnet", "fd.rnet", "fd.ip", "fd.sip", "fd.cip", "fd.rip"})
"""Fields whose values may be written as address ranges."""


def _mode(file: File) -> str | None:
    try:
        bits = int(file.mode or "", 8)
    except ValueError:
        return None
    return "|".join(name for bit, name in _MODE_BITS if bits & bit)


def _last(file: File) -> str | None:
    return file.new_path or file.path


_WRITING: Final = frozenset({"write", "append", "truncate"})
_FILE: Final[dict[str, Callable[[File], Found]]] = {
    "evt.is_open_read": lambda file: _flagged("read" in (file.flags or ())),
    "evt.is_open_write": lambda file: _flagged(not _WRITING.isdisjoint(file.flags or ())),
    "evt.arg.mode": _mode,
    "evt.arg.path": lambda file: file.path,
    "evt.arg.name": _last,
    "evt.arg.filename": lambda file: file.path,
    "evt.arg.oldpath": lambda file: file.path,
    "evt.arg.newpath": _last,
    "evt.arg.target": lambda file: file.path,
    "evt.arg.linkpath": _last,
    "fs.path.name": _last,
    "fs.path.source": lambda file: file.path,
    "fs.path.target": _last,
}  # fmt: skip


def _descriptor(event: Event) -> str | None:
    network = event.network
    if network and network.protocol == "unix":
        return network.path
    if network:
        local = f":{network.local_port or 0}"
        remote = f"{network.remote_ip or ''}:{network.remote_port or 0}"
        return f"{local}->{remote}" if _outward(network) else f"{remote}->{local}"
    return event.file.path if event.file else None


def _type_of(event: Event) -> str | None:
    if event.network:
        if event.network.protocol == "unix":
            return "unix"
        return "ipv6" if ":" in (event.network.remote_ip or "") else "ipv4"
    return "file" if event.file else None


_LETTERS: Final = {"unix": "u", "ipv4": "4", "ipv6": "6", "file": "f"}


def _command(event: Event) -> str | None:
    arguments = _arguments(event.process) if event.process else None
    return f"{event.process_name} {arguments}".strip() if event.process else None


def _on_path(part: Callable[[str], str]) -> Callable[[Event], Found]:
    return lambda event: part(event.file.path) if event.file and event.file.path else None


_OPEN_FLAGS: Final = {"truncate": "O_TRUNC", "append": "O_APPEND", "directory": "O_DIRECTORY"}


def _flags(event: Event) -> str | None:
    """Return the flags of an open, or of an unlink, by the kernel's names."""
    flags = (event.file.flags if event.file else None) or ()
    if event.op == "unlink":
        return "AT_REMOVEDIR" if "directory" in flags else "0"
    if event.op not in {"open", "create"}:
        return None
    ways = {"read", "write"}.intersection(flags)
    first = "O_RDWR" if len(ways) > 1 else ("O_WRONLY" if "write" in ways else "O_RDONLY")
    created = ["O_CREAT", "O_F_CREATED"] if event.op == "create" else []
    return "|".join([first, *created, *(name for flag, name in _OPEN_FLAGS.items() if flag in flags)])


_EVENT: Final[dict[str, Callable[[Event], Found]]] = {
    "evt.type": calls_of,
    "evt.arg.flags": _flags,
    "syscall.type": calls_of,
    "evt.hostname": lambda event: event.node,
    "evt.is_open_exec": lambda _: "false",
    "proc.name": lambda event: event.process_name,
    "proc.cmdline": _command,
    "proc.pname": lambda event: event.parent_name or None,
    "fd.name": _descriptor,
    "fd.nameraw": _descriptor,
    "fd.type": _type_of,
    "fd.typechar": lambda event: _LETTERS.get(_type_of(event) or ""),
    "fd.sockfamily": lambda event: {"unix": "unix", "ipv4": "ip", "ipv6": "ip"}.get(_type_of(event) or ""),
    "fd.filename": _on_path(posixpath.basename),
    "fd.directory": _on_path(posixpath.dirname),
    "fd.connected": lambda event: _flagged(event.op != "send") if event.network else None,
    "fd.name_changed": lambda event: _flagged(True) if event.network else None,
    "container.id": lambda event: (event.container.id or "")[:12] or "?",
    "container.name": lambda event: event.container.name,
    "container.image": lambda event: event.container.image,
    "container.image.repository": lambda event: _repository(event.container.image or ""),
    "container.image.tag": lambda event: _tag(event.container.image or ""),
    "container.image.digest": lambda event: event.container.image_digest,
    "k8s.ns.name": lambda event: event.container.pod.namespace if event.container.pod else None,
    "k8s.pod.name": lambda event: event.container.pod.name if event.container.pod else None,
    "k8s.pod.id": lambda event: event.container.pod.uid if event.container.pod else None,
    "k8s.pod.uid": lambda event: event.container.pod.uid if event.container.pod else None,
}


def _tag_at(image: str) -> int:
    at = image.split("@", 1)[0].rfind(":")
    return at if at > image.rfind("/") else len(image.split("@", 1)[0])


def _repository(image: str) -> str:
    return image[: _tag_at(image)]


def _tag(image: str) -> str | None:
    return image.split("@", 1)[0][_tag_at(image) + 1 :] or None


_CONSTANTS: Final[dict[str, Value]] = {
    "evt.num": 1,
    "evt.dir": "<",
    "evt.res": "SUCCESS",
    "evt.rawres": 0,
    "evt.failed": "false",
    "evt.source": "syscall",
    "fd.num": 3,
}
"""The same for every event that is told."""


def constant(field: str) -> Value | None:
    """Return the value that `field` has in every event, or None."""
    return _CONSTANTS.get(field)


@cache
def reader(field: str) -> Reader | None:
    """Return what reads `field` of an anomaly, the same each time; None: our events have no such field."""
    name, _, index = field.partition("[")
    if index and name == "proc.aname" and index.rstrip("]").isdigit():
        return _ancestor(int(index.rstrip("]")))
    if field in _EVENT:
        return lambda anomaly: _EVENT[field](anomaly.event)
    if field in _PROCESS:
        return lambda anomaly: _PROCESS[field](anomaly.event.process) if anomaly.event.process else None
    if field in _NETWORK:
        return lambda anomaly: _NETWORK[field](anomaly.event.network) if anomaly.event.network else None
    if field in _FILE:
        return lambda anomaly: _FILE[field](anomaly.event.file) if anomaly.event.file else None
    return None


def _ancestor(number: int) -> Reader:
    def read(anomaly: Anomaly) -> Found:
        process = anomaly.event.process
        names = [anomaly.event.process_name, *((process.ancestors if process else None) or ())]
        return names[number] if number < len(names) else None

    return read

# SPDX-License-Identifier: Apache-2.0
"""Sigma's field names and log sources over our events: the one place where they are spelt."""

from collections.abc import Callable, Sequence
from typing import Final

from habitus.anomalies import Anomaly
from habitus.events import Event, Network, Process
from habitus_scorer.sigma import auditd

Value = str | int | float
Found = str | int | float | list[str] | None

KEYWORDS: Final = ""
"""The name under which a record gives all its text, for Sigma's keywords (values without a field)."""

_FILE_CATEGORIES: Final = {
    "create": ("file_event", "file_change"),
    "write": ("file_event", "file_change"),
    "rename": ("file_event", "file_rename"),
    "link": ("file_event",),
    "open": ("file_access",),
    "read": ("file_access",),
    "unlink": ("file_delete",),
    "chmod": ("file_change",),
    "mount": ("mount",),
}
_OTHER_CATEGORIES: Final = {
    ("process", "exec"): ("process_creation",),
    ("network", "connect"): ("network_connection",),
    ("network", "accept"): ("network_connection",),
    ("network", "send"): ("network_connection",),
    ("network", "dns"): ("dns_query", "dns"),
}
CATEGORIES: Final = frozenset(
    name for names in (*_FILE_CATEGORIES.values(), *_OTHER_CATEGORIES.values()) for name in names
)
"""The Sigma log source categories that some event belongs to."""


def categories_of(event: Event) -> tuple[str, ...]:
    """Return the Sigma log sources of one event: categories, and `auditd`; empty for e.g. a fork."""
    return (*_own_categories(event), *((auditd.SERVICE,) if auditd.is_told(event) else ()))


def _own_categories(event: Event) -> tuple[str, ...]:
    if changes(event):
        return (*_FILE_CATEGORIES["open"], *_FILE_CATEGORIES["write"])
    if event.class_ == "file":
        return _FILE_CATEGORIES.get(event.op, ())
    return _OTHER_CATEGORIES.get((event.class_, event.op), ())


def _image(process: Process) -> str | None:
    # Without exe, argv[0] and then the comm say it best; Sigma rules end in `/name`.
    image = process.exe or (process.argv or [""])[0] or process.name
    return _rooted(image)


def _rooted(name: str | None) -> str | None:
    return name if not name or "/" in name else f"/{name}"


def _user(process: Process) -> str | None:
    if process.uid is None:
        return None
    return "root" if process.uid == 0 else str(process.uid)


def _command_line(process: Process) -> str | None:
    return " ".join(process.argv) if process.argv else None


_PROCESS: Final[dict[str, Callable[[Process], Found]]] = {
    "Image": _image,
    "CommandLine": _command_line,
    "CurrentDirectory": lambda process: process.cwd,
    "User": _user,
    "ProcessId": lambda process: process.pid,
    "ParentProcessId": lambda process: process.ppid,
    "Argument": lambda process: process.argv,
    "Ancestor": lambda process: process.ancestors,
    "Uid": lambda process: process.uid,
}


def _egress(network: Network) -> bool:
    return network.direction != "ingress"


_NETWORK: Final[dict[str, Callable[[Network], Found]]] = {
    "DestinationIp": lambda network: network.remote_ip if _egress(network) else None,
    "DestinationPort": lambda network: network.remote_port if _egress(network) else network.local_port,
    "DestinationHostname": lambda network: network.domain if _egress(network) else None,
    "SourceIp": lambda network: None if _egress(network) else network.remote_ip,
    "SourcePort": lambda network: network.local_port if _egress(network) else network.remote_port,
    "Protocol": lambda network: network.protocol,
    "Initiated": lambda network: "true" if _egress(network) else "false",
    "Network.Path": lambda network: network.path,
    "QueryName": lambda network: network.domain,
}


_CHANGING: Final = frozenset({"write", "truncate", "append"})


def changes(event: Event) -> bool:
    """Say whether a file was opened for writing: our collector tells no writes of their own."""
    return event.op == "open" and event.file is not None and not _CHANGING.isdisjoint(event.file.flags or ())


def _ops(event: Event) -> Found:
    return [event.op, "write"] if changes(event) else event.op


def _via(event: Event) -> str | None:
    part = event.file or event.network
    return part.via if part else None


def _target(event: Event) -> str | None:
    return (event.file.new_path or event.file.path) if event.file else None


_EVENT: Final[dict[str, Callable[[Event], Found]]] = {
    "TargetFilename": _target,
    "SourceFilename": lambda event: event.file.path if event.file else None,
    "File.Mode": lambda event: event.file.mode if event.file else None,
    "File.Flags": lambda event: event.file.flags if event.file else None,
    "ProcessName": lambda event: event.process_name,
    "ParentImage": lambda event: _rooted(event.parent_name) or None,
    "ParentName": lambda event: event.parent_name or None,
    "Event.Class": lambda event: event.class_,
    "Event.Op": _ops,
    "Usage.Cores": lambda event: event.usage.cores if event.usage else None,
    "Process.ExeClass": lambda event: event.process.exe_class if event.process else None,
    "Via": _via,
    "Node": lambda event: event.node,
    "Container.Image": lambda event: event.container.image,
    "Container.Name": lambda event: event.container.name,
    "Pod.Name": lambda event: event.container.pod.name if event.container.pod else None,
    "Pod.Namespace": lambda event: event.container.pod.namespace if event.container.pod else None,
}
_ANOMALY: Final[dict[str, Callable[[Anomaly], Found]]] = {
    "Anomaly.Reason": lambda anomaly: anomaly.reason,
    "Anomaly.Path": lambda anomaly: "/".join(anomaly.path),
    "Anomaly.Detail": lambda anomaly: anomaly.detail,
}
_TEXT: Final = (
    "CommandLine",
    "Image",
    "TargetFilename",
    "SourceFilename",
    "DestinationHostname",
    "QueryName",
)

FIELDS: Final = frozenset((*_PROCESS, *_NETWORK, *_EVENT, *_ANOMALY, *auditd.FIELDS))
"""Every field that a rule may ask for."""


def _listed(found: Value | Sequence[Value] | None) -> tuple[Value, ...]:
    if found is None:
        return ()
    return (found,) if isinstance(found, str | int | float) else tuple(found)


class Record:
    """One anomaly as Sigma sees it: fields by name, computed when first asked for."""

    __slots__ = ("_anomaly", "_folded", "_texts", "_values", "categories")

    def __init__(self, anomaly: Anomaly) -> None:
        self.categories = categories_of(anomaly.event)
        self._anomaly = anomaly
        self._values: dict[str, tuple[Value, ...]] = {}
        self._texts: dict[str, tuple[str, ...]] = {}
        self._folded: dict[str, tuple[str, ...]] = {}

    @property
    def anomaly(self) -> Anomaly:
        """The anomaly itself."""
        return self._anomaly

    def values(self, field: str) -> tuple[Value, ...]:
        """Return what `field` holds: nothing, one value, or the elements of a list."""
        known = self._values.get(field)
        if known is None:
            known = self._values[field] = self._keywords() if field == KEYWORDS else self._found(field)
        return known

    def texts(self, field: str) -> tuple[str, ...]:
        """Return the values of `field` as text."""
        known = self._texts.get(field)
        if known is None:
            known = self._texts[field] = tuple(map(str, self.values(field)))
        return known

    def folded(self, field: str) -> tuple[str, ...]:
        """Return the same in lower case: Sigma compares without regard to case."""
        known = self._folded.get(field)
        if known is None:
            known = self._folded[field] = tuple(text.lower() for text in self.texts(field))
        return known

    def under(self, name: str, read: Callable[[Anomaly], Found | Sequence[Value]]) -> tuple[str, ...]:
        """Return, as text, what `read` finds in the anomaly; read once and kept under `name`."""
        known = self._texts.get(name)
        if known is None:
            known = self._texts[name] = tuple(map(str, _listed(read(self._anomaly))))
        return known

    def _found(self, field: str) -> tuple[Value, ...]:
        return _listed(self._read(field))

    def _read(self, field: str) -> Found | Sequence[Value]:
        event = self._anomaly.event
        if field in auditd.FIELDS:
            return auditd.FIELDS[field](event)
        if field in _EVENT:
            return _EVENT[field](event)
        if field in _PROCESS:
            return _PROCESS[field](event.process) if event.process else None
        if field in _NETWORK:
            return _NETWORK[field](event.network) if event.network else None
        return _ANOMALY[field](self._anomaly)

    def _keywords(self) -> tuple[Value, ...]:
        return tuple(value for field in _TEXT for value in self.values(field))

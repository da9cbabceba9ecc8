# SPDX-License-Identifier: Apache-2.0
"""Turns an event into the trie path of its habit, and says what may widen there.

Orders (the image is the profile itself):
- process: parent → process (the arguments are the leaf's own matter, see `leaf`)
- file: process → operation group → path segments
- network: process → `direction protocol` → peer → port

Volatile parts of names are typed first (`worker-12` → `worker-<number>`). File segments widen to
`<any>` or `<any>.ext`; never a sensitive place, a directory above one, or a hidden name. Peers
widen to their domain (`*.shop.svc`) or network class; ports from 32768 up to `<high>`. Processes never
widen: a wildcard there would know every program.
"""

import posixpath
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from habitus.events import Event, File, Network
from habitus_profiler import addresses
from habitus_profiler.paths import is_sensitive, leads_to_sensitive
from habitus_profiler.volatile import softened, strictly_softened

GROUPS: Final = {
    "read": "read", "write": "write", "create": "create-delete", "unlink": "create-delete",
    "rename": "create-delete", "link": "create-delete", "mount": "create-delete", "chmod": "metadata",
}  # fmt: skip
"""op → operation group; `open` is what its flags say."""
OPENS: Final = frozenset({"open", "create"})
_OPENINGS: Final = {"read": ("read", "write", "create-delete"), "write": ("write", "create-delete")}
"""op → groups of an open that it follows from."""

ANY: Final = "<any>"
HIGH: Final = "<high>"
_HIGH_PORT: Final = 32768
_FILE_NAMES_AT: Final = 2
_PEER_AT: Final = 2
_PORT_AT: Final = 3
_DEEPEST: Final = 48
_LONGEST_EXTENSION: Final = 8


@lru_cache(maxsize=4096)
def name_of(name: str) -> str:
    """Return a process or thread name as a habit: counters and ids in it typed."""
    return softened(name[:64])


def process_path(event: Event) -> tuple[str, str]:
    """Return (parent, process) of an event."""
    return name_of(event.parent_name), name_of(event.process_name)


def group_of(op: str, flags: Sequence[str]) -> str:
    """Return the operation group of a file event: read, write, create-delete, execute or metadata."""
    if op != "open":
        return GROUPS.get(op, op)
    for flag in ("execute", "create", "write"):
        if flag in flags:
            return "create-delete" if flag == "create" else flag
    return "read"


def file_paths(event: Event) -> list[tuple[str, ...]]:
    """Return the habit of a file event; rename and link have one for each end."""
    file = event.file or File()
    above = (name_of(event.process_name), group_of(event.op, file.flags or ()))
    return [(*above, *segments(path)) for path in (file.path, file.new_path) if path]


def opening_paths(event: Event) -> list[tuple[str, ...]]:
    """Return the habits of opening the file that an event reads or writes; none for any other event.

    Only of an event with `bytes`: who tells those tells the open, too.
    """
    file = event.file
    if file is None or file.bytes is None or not file.path:
        return []
    names, name = segments(file.path), name_of(event.process_name)
    return [(name, group, *names) for group in _OPENINGS.get(event.op, ())]


@lru_cache(maxsize=4096)
def segments(path: str) -> tuple[str, ...]:
    """Return the names of a path, volatile parts typed; deeper than 48 is one name."""
    clean = posixpath.normpath(path).lstrip("/")
    names = clean.split("/", _DEEPEST)
    whole, result = "", []
    for at, name in enumerate(names):
        whole += f"/{name}"
        if whole.startswith("/proc/") and name.isdigit() and (at > 1 or name != "1"):
            result.append("<number>")
        else:
            soften = strictly_softened if is_sensitive(whole) else softened
            result.append(soften(name.replace("<", "\\<")))
    return tuple(result)


def widen_file(above: Sequence[str], name: str) -> str | None:
    """Say into which wildcard a path segment may fall."""
    if len(above) < _FILE_NAMES_AT or name.startswith("."):
        return None
    return _widen_segment("/".join(("", *above[_FILE_NAMES_AT:])), name)


@lru_cache(maxsize=4096)
def _widen_segment(folder: str, name: str) -> str | None:
    whole = f"{folder}/{name}"
    if is_sensitive(folder) or leads_to_sensitive(whole) or "/." in folder:
        return None
    if name.startswith(ANY):
        return name
    stem, _, extension = name.rpartition(".")
    return f"{ANY}.{extension}" if stem and len(extension) <= _LONGEST_EXTENSION else ANY


def network_path(event: Event) -> tuple[str, ...]:
    """Return the habit of a network event.

    Who calls a server is not the server's habit: incoming peers count by address class, and the
    port is the local one. The peer of a Unix socket is its path.

    The kernel makes tokens of the same fields (bpf/lib/flow_token.h): what changes here changes there.
    """
    network = event.network or Network()
    incoming = event.op in {"accept", "listen"} or network.direction == "ingress"
    way = f"{'ingress' if incoming else 'egress'} {'dns' if event.op == 'dns' else network.protocol or 'ip'}"
    port = network.local_port if incoming else network.remote_port
    return (
        name_of(event.process_name),
        way,
        _peer(network, incoming=incoming),
        _port(port, incoming=incoming),
    )


def _peer(network: Network, *, incoming: bool) -> str:
    if network.protocol == "unix":
        return "/".join(("", *segments(network.path[:4096]))) if network.path else "-"
    address = addresses.parsed(network.remote_ip) if network.remote_ip else None
    if network.domain and not incoming:
        return addresses.remote_of(network.domain[:255]).replace("*", "\\*")
    if address is None:
        return "-"
    kind = addresses.address_class(address)
    if incoming or kind in {"loopback", "any"}:
        return kind
    return addresses.network_of(address)


def _port(port: int | None, *, incoming: bool) -> str:
    if port is None:
        return "-"
    return HIGH if incoming and port >= _HIGH_PORT else str(port)


def widen_network(above: Sequence[str], name: str) -> str | None:
    """Say into which wildcard a peer or a port may fall."""
    if len(above) == _PEER_AT:
        if name.startswith("*."):
            return name
        suffix = addresses.suffix_of(name)
        return f"*.{suffix}" if suffix and "/" not in name else None
    if len(above) == _PORT_AT:
        return HIGH if name == HIGH or (name.isdigit() and int(name) >= _HIGH_PORT) else None
    return None

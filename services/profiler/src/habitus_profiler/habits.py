# SPDX-License-Identifier: Apache-2.0
"""Turns an event into the trie path of its habit.

Orders (the image is the profile itself):
- process: parent → process (the arguments are the leaf's own matter, see `leaf`)
- file: process → operation group → path segments
- network: process → `direction protocol` → peer → port

Volatile parts of names are typed first (`worker-12` → `worker-<number>`; in paths all ids, times and
numbers are `<id>`, for a random id may look like any of them), and a rotated log is its log. What may
widen besides is in `widening`. Processes never widen: a wildcard there would know every program.
"""

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

from habitus.events import Event, File, Network, Peer
from habitus_profiler import addresses
from habitus_profiler.paths import is_sensitive, leads_to_sensitive
from habitus_profiler.standins import shows, stood_in_path
from habitus_profiler.trie import Found
from habitus_profiler.volatile import coarsely_softened, softened, strictly_softened
from habitus_profiler.widening import HIGH, HIGH_PORT

GROUPS: Final = {
    "read": "read", "write": "write", "create": "create-delete", "unlink": "create-delete",
    "rename": "create-delete", "link": "create-delete", "mount": "create-delete", "chmod": "metadata",
}  # fmt: skip
"""op → operation group; `open` is what its flags say."""
OPENS: Final = frozenset({"open", "create"})
_OPENINGS: Final = {"read": ("read", "write", "create-delete"), "write": ("write", "create-delete")}
"""op → groups of an open that it follows from."""

_DEEPEST: Final = 48
# What Kubernetes appends to a workload's name: a ReplicaSet's hash and a Pod's own five letters.
_REPLICA: Final = re.compile(r"(?:-[bcdfghjklmnpqrstvwxz2456789]{6,10})?-[bcdfghjklmnpqrstvwxz2456789]{5}\Z")
_FAN: Final = 2
_HEX_DIGITS: Final = frozenset("0123456789abcdef")
_PEER_AT: Final = 2
_INCOMING: Final = frozenset({"accept", "listen"})
_ENOUGH_PEERS: Final = 1024
_ROTATED: Final = re.compile(r"(.*[._-]log|log)(?:[._-](?:<id>|\d{1,2}))*(?:\.(?:gz|bz2|xz|zst|old|bak))?\Z")
_DATED: Final = re.compile(r"(.+?)[._-]<id>(\.log)(?:\.(?:gz|bz2|xz|zst))?\Z")
_WILD: Final = str.maketrans({"*": "\\*", "/": "\\/", "<": "\\<"})
"""What no host name may hold spelt as it is: there it means a wildcard, or another kind of peer."""


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
    key = stood_in_path(path)
    return _segments(path if key != path and _shows_in(key) else key)


@lru_cache(maxsize=4096)
def _shows_in(key: str) -> bool:
    return any(map(shows, _segments(key)))


@lru_cache(maxsize=8192)
def _segments(path: str) -> tuple[str, ...]:
    if "//" in path or "/." in path or path[-1:] == "/" or path[:1] == ".":
        path = posixpath.normpath(path)
    clean = path.lstrip("/")
    folder, slash, name = clean.rpartition("/")
    if not slash or clean.count("/") > _DEEPEST:
        names = clean.split("/", _DEEPEST)
        return tuple(_segment("/".join(("", *names[:at])), each) for at, each in enumerate(names))
    above = _segments(folder)
    if _is_plain("/" + folder) and not name.endswith(".sock"):
        return (*above, _typed(name))
    return (*above, _segment("/" + folder, name))


@lru_cache(maxsize=4096)
def _is_plain(folder: str) -> bool:
    """Say whether no name right below `folder` can make a sensitive path, but for sockets."""
    return not leads_to_sensitive(folder) and not is_sensitive(folder)


def _segment(folder: str, name: str) -> str:
    """Return one name below a folder (empty: the root), typed as its place allows."""
    whole = f"{folder}/{name}"
    if whole.startswith("/proc/") and name.isdigit() and (folder != "/proc" or name != "1"):
        return "<number>"
    return strictly_softened(_escaped(name)) if is_sensitive(whole) else _typed(name)


def _typed(name: str) -> str:
    if len(name) == _FAN and _HEX_DIGITS.issuperset(name):
        return "<id>"  # one of 256 folders by which a cache spreads its files
    text = coarsely_softened(_escaped(name))
    return _unrotated(text) if "log" in text else text


def _escaped(name: str) -> str:
    return name.replace("<", "\\<") if "<" in name else name


def _unrotated(name: str) -> str:
    """Return the log that `app.log.<id>.gz` or `app-<id>.log` was."""
    match = _DATED.match(name) or _ROTATED.match(name)
    return "".join(match.groups()) if match else name


def network_path(event: Event) -> tuple[str, ...]:
    """Return the habit of a network event, by name or address of its other end.

    Who calls a server is not the server's habit: incoming peers count by address class, and the
    port is the local one. The peer of a Unix socket is its path.

    The kernel makes tokens of the same fields (bpf/lib/flow_token.h): what changes here changes there.
    """
    network = event.network or Network()
    incoming = comes_in(event)
    way = f"{'ingress' if incoming else 'egress'} {'dns' if event.op == 'dns' else network.protocol or 'ip'}"
    port = network.local_port if incoming else network.remote_port
    return (
        name_of(event.process_name),
        way,
        _peer(network, incoming=incoming),
        _port(port, incoming=incoming),
    )


def workload_path(event: Event) -> tuple[str, ...] | None:
    """Return the habit by Service, Pod or image of the other end, where it has no DNS name.

    The kernel's token is wider (it knows the network only): by it alone no such flow may be held back.
    """
    network = event.network
    if network is None or network.peer is None or network.domain or comes_in(event):
        return None
    workload = _workload(network.peer)
    if workload is None:
        return None
    name, way, _, port = network_path(event)
    return name, way, workload, port


def flow_path(event: Event) -> tuple[str, ...]:
    """Return the habit of a network event as it is learned: by workload, else by name or address."""
    return workload_path(event) or network_path(event)


def is_known_port(path: Sequence[str], found: Found) -> bool:
    """Say whether `path` fails at its peer only: another peer is known on that port."""
    return found.depth == _PEER_AT and any(
        path[-1] in peer.children for peer in islice(found.node.children.values(), _ENOUGH_PEERS)
    )


def comes_in(event: Event) -> bool:
    """Say whether somebody came to this container."""
    return is_incoming(event.op, event.network.direction if event.network else None)


def is_incoming(op: str, direction: str | None) -> bool:
    """Say the same of an operation and a direction."""
    return op in _INCOMING or direction == "ingress"


def _workload(peer: Peer) -> str | None:
    space = (peer.pod.namespace if peer.pod else None) or "-"
    if peer.service:
        return f"service/{space}/{peer.service}"
    if peer.pod and peer.pod.name:
        return f"pod/{space}/{coarsely_softened(_REPLICA.sub('-<id>', peer.pod.name))}"
    return f"image/{peer.image}" if peer.image else None


def _peer(network: Network, *, incoming: bool) -> str:
    if network.protocol == "unix":
        return "/".join(("", *segments(network.path[:4096]))) if network.path else "-"
    if network.domain and not incoming:
        return named_end(network.domain)
    return other_end(network.remote_ip, incoming=incoming)


@lru_cache(maxsize=8192)
def named_end(domain: str) -> str:
    """Return what a peer with a name is known by."""
    return addresses.remote_of(domain[:255]).translate(_WILD)


@lru_cache(maxsize=8192)
def other_end(remote_ip: str | None, *, incoming: bool) -> str:
    """Return what a peer without a name is known by: who comes in by class, whom one calls by network."""
    address = addresses.parsed(remote_ip) if remote_ip else None
    if address is None:
        return "-"
    kind = addresses.address_class(address)
    return kind if incoming or kind in {"loopback", "any"} else addresses.network_of(address)


def _port(port: int | None, *, incoming: bool) -> str:
    if port is None:
        return "-"
    return HIGH if incoming and port >= HIGH_PORT else str(port)

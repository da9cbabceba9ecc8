# SPDX-License-Identifier: Apache-2.0
"""What may widen in the file and the network trie, into what, and after how many siblings.

Files: a segment falls into `<any>`, or into `<any>.ext` with its extension. Never: a sensitive place
or anything in it, a directory above one, a hidden name or anything below it (caches of package tools
excepted), and a program that is being written.

Network: a host falls into its domain (`*.shop.svc`) unless strangers share that; a private /24 into its
/16; a public network into `<public>`; a port from 32768 up into `<high>`. Never: loopback,
link-local addresses (the cloud's metadata), Pods, Services, Unix sockets.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from habitus.settings import PATH_CHILDREN
from habitus_profiler import addresses
from habitus_profiler.paths import is_program, is_sensitive, leads_to_sensitive
from habitus_profiler.words import words

ANY: Final = "<any>"
HIGH: Final = "<high>"
PUBLIC: Final = "<public>"
HIGH_PORT: Final = 32768
NEVER: Final = -1
"""A limit: below this prefix nothing falls."""

MAX_HOSTS: Final = 3

_FILE_NAMES_AT: Final = 2
_PEER_AT: Final = 2
_PORT_AT: Final = 3
_LONGEST_EXTENSION: Final = 8
_WRITING: Final = frozenset({"write", "create-delete", "metadata"})
_CACHES: Final = words(
    ".cache .npm .m2 .gradle .cargo .yarn .pnpm-store .nuget .composer .next .nuxt .parcel-cache"
)
_PRIVATE_BITS: Final = 16


class FileRules:
    """Rules of the file trie: below a prefix of `by_prefix` its limit, elsewhere `limit`."""

    def __init__(self, limit: int, by_prefix: Mapping[str, int] = PATH_CHILDREN) -> None:
        self._limit = limit
        self._by_prefix = {f"{prefix.rstrip('/')}/": count for prefix, count in by_prefix.items()}
        self._never = tuple(prefix for prefix, count in self._by_prefix.items() if count == NEVER)

    def widen(self, above: Sequence[str], name: str) -> str | None:
        """Return `<any>`, `<any>.ext` or None."""
        if len(above) < _FILE_NAMES_AT or name.startswith("."):
            return None
        folder = "/".join(("", *above[_FILE_NAMES_AT:]))
        if self._never and self._near_never(f"{folder}/{name}/"):
            return None
        return _segment(folder, name, writing=above[1] in _WRITING)

    def limit(self, above: Sequence[str], wildcard: str) -> int:
        """Return the limit of the longest prefix that the folder lies below."""
        del wildcard
        folder = "/".join(("", *above[_FILE_NAMES_AT:], ""))
        fitting = [prefix for prefix in self._by_prefix if folder.startswith(prefix)]
        return self._by_prefix[max(fitting, key=len)] if fitting else self._limit

    def _near_never(self, whole: str) -> bool:
        return any(whole.startswith(prefix) or prefix.startswith(whole) for prefix in self._never)


@lru_cache(maxsize=8192)
def _segment(folder: str, name: str, *, writing: bool) -> str | None:
    whole = f"{folder}/{name}"
    if is_sensitive(folder) or leads_to_sensitive(whole) or _is_hidden(folder):
        return None
    if name.startswith(ANY):
        return name
    if writing and is_program(name):
        return None
    stem, _, extension = name.rpartition(".")
    return f"{ANY}.{extension}" if stem and len(extension) <= _LONGEST_EXTENSION else ANY


def _is_hidden(folder: str) -> bool:
    return any(part.startswith(".") and part not in _CACHES for part in folder.split("/"))


class NetworkRules:
    """Rules of the network trie: hosts of one public domain fall early, all else after `limit`.

    Who owns a public domain owns its hosts; the names inside a cluster are everybody's.
    """

    def __init__(self, limit: int, hosts: int = MAX_HOSTS) -> None:
        self._limit = limit
        self._hosts = min(hosts, limit)

    def widen(self, above: Sequence[str], name: str) -> str | None:
        """Return the wildcard of a peer or of a local port, or None."""
        if len(above) == _PEER_AT:
            return _peer(name)
        if len(above) == _PORT_AT:
            return HIGH if name == HIGH or (name.isdigit() and int(name) >= HIGH_PORT) else None
        return None

    def limit(self, above: Sequence[str], wildcard: str) -> int:
        """Return how many peers or ports may share a wildcard before they fall into it."""
        del above
        early = wildcard.startswith("*.") and not addresses.is_internal(wildcard)
        return self._hosts if early else self._limit


@lru_cache(maxsize=8192)
def _peer(name: str) -> str | None:
    if name == PUBLIC or name.startswith("*."):
        return name
    if "/" not in name:
        suffix = addresses.suffix_of(name)
        return f"*.{suffix}" if suffix else None
    network = _network(name)
    if network is None:
        return None
    kind = addresses.address_class(network.network_address)
    if kind == "public":
        return PUBLIC
    if kind != "private" or network.version != 4:  # noqa: PLR2004  # IPv4
        return None
    return str(network.supernet(new_prefix=min(_PRIVATE_BITS, network.prefixlen)))


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(name)
    except ValueError:
        return None

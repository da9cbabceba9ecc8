# SPDX-License-Identifier: Apache-2.0
"""Reads URLs: whom they speak to by which scheme, and what else they name. `typed` reads what is within."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote, urlsplit

from habitus_profiler.addresses import BUCKETS, is_inside, owner_of, port_of, remote_of
from habitus_profiler.grades import Token
from habitus_profiler.paths import SCRATCH, extension_of, is_code, is_sensitive, under
from habitus_profiler.slots import Slot
from habitus_profiler.volatile import softened
from habitus_profiler.words import words

Typed = Callable[[str], Token]

URL: Final = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://")
_OF_FILES: Final = {"file": (Slot("scheme", "file"),), "unix": ()}  # a socket tells by itself where it lies
_HOSTS: Final = re.compile(r"[A-Za-z][\w+.-]*://(?:[^/@]*@)?([^/?#@]*,[^/?#@]*)")
_LONGEST: Final = 200
_WEB: Final = frozenset({"http", "https"})
_USUAL: Final = _WEB | words(
    """
    amqp amqps clickhouse grpc grpcs kafka ldaps mongodb mongodb+srv mqtt mqtts mysql nats oci opensearch
    postgres postgresql redis rediss smtps spiffe statsd syslog tls unix ws wss
    """
)
"""Schemes by which services of one cluster speak."""


def read(token: str, typed: Typed) -> Token | None:
    """Return a token that is a URL, or ends as one (`jdbc:postgresql://db/shop`); None where it is none."""
    match = URL.search(token)
    if match is None:
        return None
    start = match.start()
    if start:
        inner = read(token[start:], typed)
        return inner._replace(text=softened(token[:start]) + inner.text) if inner else None
    scheme = match[0].removesuffix("://").lower()
    within = token[match.end() :]
    if scheme in BUCKETS and URL.match(within):
        return read(within, typed)  # a store of one's own: `s3://https://minio.shop.svc/models`
    several = _HOSTS.match(token)
    return _several(scheme, token, several[1], typed) if several else _whole(scheme, token, typed)


def _whole(scheme: str, token: str, typed: Typed) -> Token:
    try:
        parts = urlsplit(token)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Token("url", softened(token), (Slot("remote", token[:_LONGEST]),))
    if scheme in _OF_FILES and not host:
        inner = typed(parts.path) if parts.path else Token("path", "/")
        # A path that tells by itself is the same by any spelling, where not everybody writes.
        tells = bool(inner.slots) and under(parts.path, SCRATCH) is None and not is_sensitive(parts.path)
        return Token("url", f"{scheme}://{inner.text}", (*(() if tells else _OF_FILES[scheme]), *inner.slots))
    if (
        not host and parts.path[:1] == "/"
    ):  # `dns:///db.shop.svc`, `sqlite:////data/a.db`: what stands behind tells
        inner = typed(parts.path[1:]) if len(parts.path) > 1 else Token("text", "")
        return Token("url", f"{scheme}:///{inner.text}", (Slot("scheme", scheme), *inner.slots))
    remote = remote_of(host)
    # Inside, it is the host that tells, and the network trie sees who speaks to it.
    is_near = scheme in (_WEB if remote == "loopback" else _USUAL) and (
        remote == "loopback" or is_inside(remote)
    )
    slots = [
        *(() if is_near else (Slot("scheme", scheme),)),
        *((Slot("remote", owner_of(remote, scheme, parts.path)),) if remote else ()),
    ]
    name = parts.path.rpartition("/")[2]
    if is_code(name):
        slots.append(Slot("fetch", extension_of(name)))
    if "/." in parts.path and not parts.path.startswith("/.well-known/"):
        slots.append(Slot("path", "url/.*"))  # what a server hides
    slots.extend(_queried(parts.query, typed))
    user = "<credentials>@" if parts.username or parts.password else ""
    tail = softened(parts.path) + ("?" + _query(parts.query, typed) if parts.query else "")
    return Token("url", f"{scheme}://{user}{remote}{port_of(remote, port)}{tail}", tuple(slots))


def schemeless(before: str, url: str, typed: Typed) -> Token | None:
    """Read a URL that goes without its scheme."""
    found = read(f"none://{url}", typed)
    if found is None:
        return None
    slots = tuple(slot for slot in found.slots if slot.kind != "scheme")
    return Token("url", before + found.text.removeprefix("none://"), slots)


def _several(scheme: str, token: str, hosts: str, typed: Typed) -> Token:
    """Read a URL of many hosts, as clusters of databases have (`mongodb://a:27017,b:27017/shop`)."""
    first, *others = hosts.split(",")
    whole = read(token.replace(hosts, first, 1), typed) or Token("url", softened(token))
    found = [read(f"{scheme}://{host}", typed) for host in others if host]
    slots = dict.fromkeys(slot for each in (whole, *found) if each for slot in each.slots)
    return whole._replace(slots=tuple(slots))


def _query(query: str, typed: Typed) -> str:
    pairs = [part.partition("=") for part in query.split("&")]
    return "&".join(f"{key}{equals}{typed(value).text}" for key, equals, value in pairs)


def _queried(query: str, typed: Typed) -> list[Slot]:
    """Return the hosts of URLs that a query holds (`?next=https://a.example/`), and where it names files."""
    values = (unquote(value) for pair in query.split("&") for value in (pair.partition("=")[2],))
    slots = (slot for value in values if "/" in value for slot in typed(value).slots)
    return [slot for slot in slots if slot.kind in {"remote", "path"}]

# SPDX-License-Identifier: Apache-2.0
"""Reads what the network sensor writes: bpf/lib/flow.h and bpf/lib/dns.h, field by field."""

import struct
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from habitus.text import decoded
from habitus_collector import records
from habitus_collector.file_records import joined
from habitus_collector.records import HEAD, Head, RecordFault

FLOW: Final = struct.Struct("=16s16sHHBBBBQQQQQQ")  # after the head
DNS: Final = struct.Struct("=Q16sHHHH")  # after the head; the message follows
UNIX: Final = struct.Struct("=QIIII")  # after the head; what is told follows, then what was walked
TOLD_BYTES: Final = 112


class Kind(IntEnum):
    """enum network_kind."""

    FLOW = 32
    DNS = 33
    UNIX = 34


class Op(IntEnum):
    """enum flow_op."""

    CONNECT = 1
    ACCEPT = 2
    LISTEN = 3
    SEND = 4
    RECEIVE = 5
    CLOSE = 6
    ASK = 7


class Outcome(IntEnum):
    """enum flow_outcome."""

    NONE = 0
    ESTABLISHED = 1
    REFUSED = 2
    TIMEOUT = 3
    FAILED = 4


class Way(IntEnum):
    """enum dns_way."""

    QUESTION = 1
    ANSWER = 2


class Flow(NamedTuple):
    """A flow.

    Attributes:
        remote_port, local_port: 0: unknown.
        began: of a close: what the flow began with.
        repeats: how many like it were folded since the one before.
        name: number of the other end's name that the token was made with; 0: none.
        peer: cgroup of the other end, where the kernel saw it on this node; else 0.
        sent, received, duration: bytes and nanoseconds, of a close.
    """

    head: Head
    op: Op
    protocol: int
    remote_ip: str
    remote_port: int
    local_ip: str
    local_port: int
    began: Op
    outcome: Outcome
    repeats: int
    name: int
    peer: int
    sent: int
    received: int
    duration: int


class Dns(NamedTuple):
    """A message of DNS as it was sent, at most its first 1232 bytes. The address is the server's.

    `name`: the kernel's number of the name that is asked for; 0: the kernel could not read it.
    """

    head: Head
    way: Way
    name: int
    remote_ip: str
    remote_port: int
    protocol: int
    message: bytes


class Unix(NamedTuple):
    """A connect to a Unix socket. `path`: as the container sees it; `@name` for an abstract one."""

    head: Head
    path: str
    repeats: int


def flow(head: Head, raw: bytes) -> Flow:
    """Return the flow in `raw`.

    Raises:
        RecordFault: it is none.
    """
    try:
        address, local, port, local_port, op, protocol, began, outcome, *rest = FLOW.unpack_from(
            raw, HEAD.size
        )
        kind = Op(op)
        return Flow(
            head, kind, protocol, text_of(address), port, text_of(local), local_port,
            Op(began) if kind == Op.CLOSE else kind, Outcome(outcome), *rest,
        )  # fmt: skip
    except (struct.error, ValueError):
        raise RecordFault from None


def dns(head: Head, raw: bytes) -> Dns:
    """Return the message in `raw`.

    Raises:
        RecordFault: it is none.
    """
    try:
        name, address, port, protocol, length, way = DNS.unpack_from(raw, HEAD.size)
        start = HEAD.size + DNS.size
        return Dns(head, Way(way), name, text_of(address), port, protocol, raw[start : start + length])
    except (struct.error, ValueError):
        raise RecordFault from None


def unix(head: Head, raw: bytes) -> Unix:
    """Return the connect to a Unix socket in `raw`.

    Raises:
        RecordFault: it is none.
    """
    try:
        repeats, walked_length, walked_flags, told_length, _ = UNIX.unpack_from(raw, HEAD.size)
    except struct.error:
        raise RecordFault from None
    start = HEAD.size + UNIX.size
    told = raw[start : start + min(told_length, TOLD_BYTES)]
    if not told:
        raise RecordFault
    if not told[0]:
        return Unix(head, "@" + decoded(told[1:].replace(b"\0", b"@")), repeats)
    walked = raw[start + TOLD_BYTES : start + TOLD_BYTES + walked_length]
    name = decoded(told.split(b"\0", 1)[0])
    return Unix(head, joined(records.path(walked, walked_flags), name), repeats)


def text_of(address: bytes) -> str:
    """Return an address of 4 or 16 bytes as text; IPv4 inside IPv6 reads as IPv4."""
    if len(address) == IPv4Address(0).max_prefixlen // 8:
        return str(IPv4Address(address))
    whole = IPv6Address(address)
    return str(whole.ipv4_mapped or whole)

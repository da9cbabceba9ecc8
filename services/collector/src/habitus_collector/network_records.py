# SPDX-License-Identifier: Apache-2.0
"""Reads what the network sensor writes: bpf/lib/flow.h and bpf/lib/dns.h, field by field."""

import struct
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from habitus_collector.records import HEAD, Head, RecordFault

FLOW: Final = struct.Struct("=16sHHBBHQ")  # after the head
DNS: Final = struct.Struct("=16sHHHH")  # after the head; the message follows


class Kind(IntEnum):
    """enum network_kind."""

    FLOW = 32
    DNS = 33


class Op(IntEnum):
    """enum flow_op."""

    CONNECT = 1
    ACCEPT = 2
    LISTEN = 3
    SEND = 4
    RECEIVE = 5


class Way(IntEnum):
    """enum dns_way."""

    QUESTION = 1
    ANSWER = 2


class Flow(NamedTuple):
    """A flow. `repeats`: how many like it were folded since the one before; ports may be 0: unknown."""

    head: Head
    op: Op
    protocol: int
    remote_ip: str
    remote_port: int
    local_port: int
    repeats: int


class Dns(NamedTuple):
    """A message of DNS as it was sent, at most its first 1232 bytes. The address is the server's."""

    head: Head
    way: Way
    remote_ip: str
    remote_port: int
    message: bytes


def flow(head: Head, raw: bytes) -> Flow:
    """Return the flow in `raw`.

    Raises:
        RecordFault: it is none.
    """
    try:
        address, port, local_port, op, protocol, _, repeats = FLOW.unpack_from(raw, HEAD.size)
        return Flow(head, Op(op), protocol, text_of(address), port, local_port, repeats)
    except (struct.error, ValueError):
        raise RecordFault from None


def dns(head: Head, raw: bytes) -> Dns:
    """Return the message in `raw`.

    Raises:
        RecordFault: it is none.
    """
    try:
        address, port, _, length, way = DNS.unpack_from(raw, HEAD.size)
        start = HEAD.size + DNS.size
        return Dns(head, Way(way), text_of(address), port, raw[start : start + length])
    except (struct.error, ValueError):
        raise RecordFault from None


def text_of(address: bytes) -> str:
    """Return an address of 4 or 16 bytes as text; IPv4 inside IPv6 reads as IPv4."""
    if len(address) == IPv4Address(0).max_prefixlen // 8:
        return str(IPv4Address(address))
    whole = IPv6Address(address)
    return str(whole.ipv4_mapped or whole)

# SPDX-License-Identifier: Apache-2.0
"""Network: connect, accept, listen, the first datagram of a UDP flow, their ends, and questions to DNS."""

import logging
from collections.abc import Mapping
from typing import Final, Literal

from habitus import events
from habitus.events import Event
from habitus_collector import dns, environment, libbpf, network_records
from habitus_collector.clock import Clock
from habitus_collector.name_table import NameTable
from habitus_collector.names import Names
from habitus_collector.network_records import Flow, Kind, Op, Outcome, Way
from habitus_collector.records import Head
from habitus_collector.sensors import Reader, Sensor, Surroundings
from habitus_collector.translate import NOBODY, actor, token_of

log = logging.getLogger(__name__)

_OPS: Final[dict[Op, tuple[events.Op, Literal["ingress", "egress"]]]] = {
    Op.CONNECT: ("connect", "egress"),
    Op.ACCEPT: ("accept", "ingress"),
    Op.LISTEN: ("listen", "ingress"),
    Op.SEND: ("send", "egress"),
    Op.RECEIVE: ("receive", "ingress"),
}
# BPF_CGROUP_UNIX_CONNECT
_UNIX_HOOK_SINCE: Final = (6, 7)
_UNIX_HOOK_IN_LIBBPF: Final = (1, 3)
_BY_HOOK: Final = "on_connect_unix"
_BY_CALL: Final = "on_connect_call"
_PROTOCOLS: Final = {6: "tcp", 17: "udp"}


class Reading:
    """Turns records into events, and keeps the names that answers gave to addresses."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._names = Names(NameTable(around.map))

    def flow(self, head: Head, raw: bytes, clock: Clock, node: str) -> Event:
        """Return the event of a flow, with the name that its container asked for, and whose the peer is."""
        flow = network_records.flow(head, raw)
        op, direction = _OPS.get(flow.began, _OPS[Op.CONNECT])
        part = events.Network(
            direction=direction,
            protocol=_PROTOCOLS.get(flow.protocol, str(flow.protocol)),
            remote_ip=None if flow.op == Op.LISTEN else flow.remote_ip,
            remote_port=flow.remote_port or None,
            local_port=flow.local_port or None,
            peer=self._peer(flow),
        )
        token = token_of(head)
        if direction == "egress" and not self._name(flow, part):
            token = b""  # the verdict would be on another name than the token
        if flow.op == Op.CLOSE:
            op = "close"
            part.outcome = flow.outcome.name.lower() if flow.outcome != Outcome.NONE else None
            part.sent, part.received, part.duration_ns = flow.sent, flow.received, flow.duration
        return _event(head, op, part, (clock, node), token)

    def dns(self, head: Head, raw: bytes, clock: Clock, node: str) -> Event | None:
        """Return the event of a question; an answer is only remembered."""
        record = network_records.dns(head, raw)
        message = dns.parse(record.message)
        if message is None or message.is_answer != (record.way == Way.ANSWER):
            return None
        if message.is_answer:
            # The kernel sends only what this socket asked for, and nothing that is known already.
            if record.name:
                root = self._around.root_of(head.cgroup)
                addresses = [address for address, _ in message.addresses]
                self._names.learn(root, message.name, record.name, addresses, head.time)
            return None
        part = events.Network(
            direction="egress",
            protocol=_PROTOCOLS.get(record.protocol, "udp"),
            remote_ip=record.remote_ip,
            remote_port=record.remote_port,
            domain=message.name,
            peer=self._around.addresses.peer_of(record.remote_ip),
        )
        return _event(head, "dns", part, (clock, node), token_of(head))

    def _name(self, flow: Flow, part: events.Network) -> bool:
        """Fill in the name; say whether the kernel had the same one when it made the token."""
        self._names.sweep(flow.head.time)
        root = self._around.root_of(flow.head.cgroup)
        name = self._names.of(root, flow.remote_ip)
        part.domain = name.text if name else None
        same = flow.name == (name.number if name else 0)
        if not same and flow.op != Op.CLOSE:
            self._names.repair(root, flow.remote_ip, flow.head.time)
        return same

    def _peer(self, flow: Flow) -> events.Peer | None:
        seen = self._around.peer_in(flow.peer) if flow.peer else None
        if seen or flow.op == Op.LISTEN:
            return seen
        return self._around.addresses.peer_of(flow.remote_ip)


def _unix(head: Head, raw: bytes, clock: Clock, node: str) -> Event:
    record = network_records.unix(head, raw)
    part = events.Network(direction="egress", protocol="unix", path=record.path)
    return _event(head, "connect", part, (clock, node), token_of(head))


def _left_out() -> list[str]:
    """Choose how connects to Unix sockets are seen: see bpf/lib/unix.h."""
    if environment.kernel_version() >= _UNIX_HOOK_SINCE and libbpf.version() >= _UNIX_HOOK_IN_LIBBPF:
        return [_BY_CALL]
    if environment.tracefs():
        return [_BY_HOOK]
    log.warning("connects to Unix sockets are not seen: %s", environment.TRACEFS_ADVICE)
    return [_BY_CALL, _BY_HOOK]


def _event(head: Head, op: events.Op, part: events.Network, place: tuple[Clock, str], token: bytes) -> Event:
    clock, node = place
    return Event(
        ts=clock.wall(head.time),
        node=node,
        class_="network",
        op=op,
        container=NOBODY,
        process=actor(head) if head.pid else None,
        network=part,
        token=token,
    )


def _reading(around: Surroundings) -> Mapping[int, Reader]:
    reading = Reading(around)
    return {Kind.FLOW: reading.flow, Kind.DNS: reading.dns}


SENSOR: Final = Sensor("network.bpf.o", {Kind.UNIX: _unix}, reading=_reading, left_out=_left_out)

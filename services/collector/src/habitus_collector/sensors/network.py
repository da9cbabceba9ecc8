# SPDX-License-Identifier: Apache-2.0
"""Network: connect, accept, listen, the first datagram of a UDP flow, and questions to DNS."""

from typing import Final, Literal

from habitus import events
from habitus.events import Event
from habitus_collector import dns, network_records
from habitus_collector.clock import Clock
from habitus_collector.names import AllNames
from habitus_collector.network_records import Flow, Kind, Op, Way
from habitus_collector.records import Head
from habitus_collector.sensors import Sensor
from habitus_collector.translate import NOBODY, actor

_OPS: Final[dict[Op, tuple[events.Op, Literal["ingress", "egress"]]]] = {
    Op.CONNECT: ("connect", "egress"),
    Op.ACCEPT: ("accept", "ingress"),
    Op.LISTEN: ("listen", "ingress"),
    Op.SEND: ("send", "egress"),
    Op.RECEIVE: ("receive", "ingress"),
}
_PROTOCOLS: Final = {6: "tcp", 17: "udp"}


class Reading:
    """Turns records into events, and keeps the names that answers gave to addresses."""

    def __init__(self) -> None:
        self._names = AllNames()

    def flow(self, head: Head, raw: bytes, clock: Clock, node: str) -> Event:
        """Return the event of a flow, with the name that its container asked for."""
        flow = network_records.flow(head, raw)
        op, direction = _OPS[flow.op]
        part = events.Network(
            direction=direction,
            protocol=_PROTOCOLS.get(flow.protocol, str(flow.protocol)),
            remote_ip=None if flow.op == Op.LISTEN else flow.remote_ip,
            remote_port=flow.remote_port or None,
            local_port=flow.local_port or None,
            domain=self._domain(flow) if direction == "egress" else None,
        )
        return _event(head, op, part, clock, node)

    def dns(self, head: Head, raw: bytes, clock: Clock, node: str) -> Event | None:
        """Return the event of a question; an answer is only remembered."""
        record = network_records.dns(head, raw)
        message = dns.parse(record.message)
        if message is None or message.is_answer != (record.way == Way.ANSWER):
            return None
        names = self._names.of(head.cgroup)
        if message.is_answer:
            names.answer(message.id, message.name, message.addresses, head.time)
            return None
        if not names.ask(message.id, message.name, head.pid, head.time):
            return None
        part = events.Network(
            direction="egress",
            protocol="udp",
            remote_ip=record.remote_ip,
            remote_port=record.remote_port,
            domain=message.name,
        )
        return _event(head, "dns", part, clock, node)

    def _domain(self, flow: Flow) -> str | None:
        return self._names.of(flow.head.cgroup).name_of(flow.remote_ip, flow.head.time)


def _event(head: Head, op: events.Op, part: events.Network, clock: Clock, node: str) -> Event:
    return Event(
        ts=clock.wall(head.time),
        node=node,
        class_="network",
        op=op,
        container=NOBODY,
        process=actor(head) if head.pid else None,
        network=part,
    )


_READING: Final = Reading()  # cgroup ids are never reused: what it knows never becomes wrong
SENSOR: Final = Sensor("network.bpf.o", {Kind.FLOW: _READING.flow, Kind.DNS: _READING.dns})

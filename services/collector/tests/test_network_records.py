# SPDX-License-Identifier: Apache-2.0
"""Records of the network sensor, and the events that they become."""

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus.events import fault_of
from habitus_collector import network_records, records
from habitus_collector.clock import Clock
from habitus_collector.network_records import Kind, Op, Way
from habitus_collector.sensors.network import Reading
from habitus_loopback import answer_to, question_of

CLIENT = bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 9])
SECOND = 1_000_000_000


def head(kind: Kind, now: int = 1000, cgroup: int = 77, pid: int = 41) -> bytes:
    return records.HEAD.pack(now, cgroup, kind, pid, 1, 0, b"curl", b"sh", bytes(16))


def a_flow(op: int, address: bytes = CLIENT, **options: int) -> bytes:
    return head(Kind.FLOW, **options) + network_records.FLOW.pack(address, 5432, 40112, op, 6, 0, 3)


def a_message(way: Way, message: bytes, **options: int) -> bytes:
    fixed = network_records.DNS.pack(
        socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.2"), 53, 0, len(message), way
    )
    return head(Kind.DNS, **options) + fixed + message + b"left over"


def event_of(reading: Reading, raw: bytes):
    first = records.head_of(raw)
    read = reading.flow if first.kind == Kind.FLOW else reading.dns
    event = read(first, raw, Clock(), "n1")
    if event:
        event.container.image = "webapp:v1"
    return event


def test_a_flow_reads_as_it_was_written():
    raw = a_flow(Op.CONNECT)

    flow = network_records.flow(records.head_of(raw), raw)

    assert flow[1:] == (Op.CONNECT, 6, "10.0.0.9", 5432, 40112, 3)


@pytest.mark.parametrize(
    ("op", "name", "direction"),
    [
        (Op.CONNECT, "connect", "egress"),
        (Op.SEND, "send", "egress"),
        (Op.ACCEPT, "accept", "ingress"),
        (Op.RECEIVE, "receive", "ingress"),
    ],
)
def test_every_op_has_a_name_and_a_direction(op, name, direction):
    event = event_of(Reading(), a_flow(op))

    assert (event.op, event.network.direction, event.network.protocol) == (name, direction, "tcp")
    assert (event.network.remote_ip, event.network.remote_port) == ("10.0.0.9", 5432)
    assert (event.process.pid, event.process.ppid, event.process.name, event.process.parent) == (
        41,
        1,
        "curl",
        "sh",
    )
    assert fault_of(event) is None


def test_a_listener_has_nobody_at_the_other_end():
    event = event_of(Reading(), a_flow(Op.LISTEN))

    assert (event.network.remote_ip, event.network.local_port) == (None, 40112)


def test_an_unknown_process_is_absent_and_not_number_0():
    assert event_of(Reading(), a_flow(Op.ACCEPT, pid=0)).process is None


@pytest.mark.parametrize(
    ("address", "text"),
    [("::1", "::1"), ("::ffff:1.2.3.4", "1.2.3.4"), ("2001:DB8::1", "2001:db8::1"), ("::", "::")],
)
def test_addresses_read_as_usual(address, text):
    assert network_records.text_of(socket.inet_pton(socket.AF_INET6, address)) == text


@given(st.binary(max_size=400), st.sampled_from(Kind))
def test_other_bytes_are_a_record_fault_or_a_record_and_nothing_else(raw, kind):
    whole = head(kind) + raw
    read = network_records.flow if kind == Kind.FLOW else network_records.dns
    with contextlib.suppress(records.RecordFault):
        read(records.head_of(whole), whole)


def test_a_question_is_an_event_and_its_answer_names_a_later_connect():
    reading = Reading()
    question = question_of("DB.shop.svc")

    asked = event_of(reading, a_message(Way.QUESTION, question))
    answered = event_of(reading, a_message(Way.ANSWER, answer_to(question, "10.0.0.9")))
    connected = event_of(reading, a_flow(Op.CONNECT))

    assert (asked.op, asked.network.domain, asked.network.remote_ip) == ("dns", "db.shop.svc", "10.0.0.2")
    assert answered is None
    assert connected.network.domain == "db.shop.svc"
    assert event_of(reading, a_flow(Op.ACCEPT)).network.domain is None
    assert event_of(reading, a_flow(Op.CONNECT, cgroup=78)).network.domain is None


def test_the_same_question_within_a_second_is_one_event():
    reading = Reading()
    moments = [(1, 0), (28, SECOND // 2), (1, SECOND), (1, SECOND * 3 // 2)]  # (type, time)

    events = [
        event_of(reading, a_message(Way.QUESTION, question_of("a.b", kind=kind), now=now))
        for kind, now in moments
    ]

    assert [event is not None for event in events] == [True, False, True, False]


def test_what_contradicts_its_direction_or_is_no_dns_is_no_event():
    reading = Reading()
    question = question_of("a.b")

    assert event_of(reading, a_message(Way.ANSWER, question)) is None
    assert event_of(reading, a_message(Way.QUESTION, answer_to(question, "1.2.3.4"))) is None
    assert event_of(reading, a_message(Way.QUESTION, b"x" * 40)) is None

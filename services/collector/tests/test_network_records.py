# SPDX-License-Identifier: Apache-2.0
"""Records of the network sensor, and the events that they become."""

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus.events import Peer, fault_of
from habitus_collector import network_records, records
from habitus_collector.addresses import Addresses
from habitus_collector.clock import Clock
from habitus_collector.network_records import Kind, Op, Outcome, Way
from habitus_collector.sensors import Surroundings
from habitus_collector.sensors.network import SENSOR, Reading
from habitus_loopback import answer_to, question_of

CLIENT = bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 9])
OWN = bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 1])
TOKEN = b"0123456789abcdef"


@pytest.fixture
def reading():
    return Reading(Surroundings())


def head(kind: Kind, now: int = 1000, cgroup: int = 77, pid: int = 41) -> bytes:
    return records.HEAD.pack(now, cgroup, kind, pid, 1, 0, b"curl", b"sh", TOKEN)


def a_flow(
    op: int,
    address: bytes = CLIENT,
    *,
    began: int = 0,
    outcome: int = 0,
    name: int = 0,
    peer: int = 0,
    **options,
) -> bytes:
    ends = (address, OWN, 5432, 40112)
    fixed = network_records.FLOW.pack(*ends, op, 6, began, outcome, 3, name, peer, 10, 20, 30)
    return head(Kind.FLOW, **options) + fixed


def a_message(way: Way, message: bytes, name: int = 99, **options: int) -> bytes:
    server = socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.2")
    fixed = network_records.DNS.pack(name, server, 53, 17, len(message), way)
    return head(Kind.DNS, **options) + fixed + message + b"left over"


def event_of(reading: Reading, raw: bytes):
    first = records.head_of(raw)
    read = {**SENSOR.readers, Kind.FLOW: reading.flow, Kind.DNS: reading.dns}[first.kind]
    event = read(first, raw, Clock(), "n1")
    if event:
        event.container.image = "webapp:v1"
    return event


def test_a_flow_reads_as_it_was_written():
    raw = a_flow(Op.CONNECT)

    flow = network_records.flow(records.head_of(raw), raw)

    assert flow[1:] == (
        Op.CONNECT, 6, "10.0.0.9", 5432, "10.0.0.1", 40112, Op.CONNECT, Outcome.NONE, 3, 0, 0, 10, 20, 30
    )  # fmt: skip


@pytest.mark.parametrize(
    ("op", "name", "direction"),
    [
        (Op.CONNECT, "connect", "egress"),
        (Op.SEND, "send", "egress"),
        (Op.ACCEPT, "accept", "ingress"),
        (Op.RECEIVE, "receive", "ingress"),
    ],
)
def test_every_op_has_a_name_and_a_direction(reading, op, name, direction):
    event = event_of(reading, a_flow(op))

    assert (event.op, event.network.direction, event.network.protocol) == (name, direction, "tcp")
    assert (event.network.remote_ip, event.network.remote_port) == ("10.0.0.9", 5432)
    assert (event.process.pid, event.process.ppid, event.process.name, event.process.parent) == (
        41,
        1,
        "curl",
        "sh",
    )
    assert fault_of(event) is None


def test_a_listener_has_nobody_at_the_other_end(reading):
    event = event_of(reading, a_flow(Op.LISTEN))

    assert (event.network.remote_ip, event.network.local_port) == (None, 40112)


def test_an_unknown_process_is_absent_and_not_number_0(reading):
    assert event_of(reading, a_flow(Op.ACCEPT, pid=0)).process is None


@pytest.mark.parametrize(
    ("address", "text"),
    [("::1", "::1"), ("::ffff:1.2.3.4", "1.2.3.4"), ("2001:DB8::1", "2001:db8::1"), ("::", "::")],
)
def test_addresses_read_as_usual(address, text):
    assert network_records.text_of(socket.inet_pton(socket.AF_INET6, address)) == text


@given(st.binary(max_size=400), st.sampled_from(Kind))
def test_other_bytes_are_a_record_fault_or_a_record_and_nothing_else(raw, kind):
    whole = head(kind) + raw
    read = getattr(network_records, kind.name.lower())
    with contextlib.suppress(records.RecordFault):
        read(records.head_of(whole), whole)


def test_a_question_is_an_event_and_its_answer_names_a_later_connect(reading):
    question = question_of("DB.shop.svc")

    asked = event_of(reading, a_message(Way.QUESTION, question))
    answered = event_of(reading, a_message(Way.ANSWER, answer_to(question, "10.0.0.9")))
    connected = event_of(reading, a_flow(Op.CONNECT))

    assert (asked.op, asked.network.domain, asked.network.remote_ip) == ("dns", "db.shop.svc", "10.0.0.2")
    assert answered is None
    assert connected.network.domain == "db.shop.svc"
    assert event_of(reading, a_flow(Op.ACCEPT)).network.domain is None
    assert event_of(reading, a_flow(Op.CONNECT, cgroup=78)).network.domain is None


def test_a_close_tells_how_it_went_and_in_which_direction(reading):
    refused = event_of(reading, a_flow(Op.CLOSE, began=Op.CONNECT, outcome=Outcome.REFUSED))
    served = event_of(reading, a_flow(Op.CLOSE, began=Op.ACCEPT))

    assert (refused.op, refused.network.direction, refused.network.outcome) == ("close", "egress", "refused")
    assert (served.op, served.network.direction, served.network.outcome) == ("close", "ingress", None)
    assert (served.network.sent, served.network.received, served.network.duration_ns) == (10, 20, 30)
    assert fault_of(served) is None


def test_a_close_of_nothing_is_a_record_fault(reading):
    with pytest.raises(records.RecordFault):
        event_of(reading, a_flow(Op.CLOSE, began=0))


def test_a_token_stands_only_if_the_kernel_had_the_same_name(reading):
    plain = event_of(reading, a_flow(Op.CONNECT))
    event_of(reading, a_message(Way.ANSWER, answer_to(question_of("a.b"), "10.0.0.9"), name=5))
    before = event_of(reading, a_flow(Op.CONNECT, name=0))
    other = event_of(reading, a_flow(Op.CONNECT, name=6))
    after = event_of(reading, a_flow(Op.CONNECT, name=5))

    assert [event.token for event in (plain, before, other, after)] == [TOKEN, b"", b"", TOKEN]
    assert [event.network.domain for event in (plain, before, other, after)] == [None, "a.b", "a.b", "a.b"]
    assert event_of(reading, a_flow(Op.ACCEPT, name=0)).token == TOKEN


def test_an_answer_whose_name_the_kernel_could_not_read_names_nothing(reading):
    event_of(reading, a_message(Way.ANSWER, answer_to(question_of("a.b"), "10.0.0.9"), name=0))

    assert event_of(reading, a_flow(Op.CONNECT)).network.domain is None


def test_the_other_end_is_whose_cgroup_was_seen_else_whose_address_it_is():
    addresses = Addresses()
    addresses.set("b", Peer(container="db", image="db:v1"), ["10.0.0.9"])
    seen = Peer(container="web", image="webapp:v1")
    reading = Reading(Surroundings(addresses, peer_in={55: seen}.get))

    assert event_of(reading, a_flow(Op.ACCEPT, peer=55)).network.peer == seen
    assert event_of(reading, a_flow(Op.ACCEPT, peer=56)).network.peer.container == "db"
    assert event_of(reading, a_flow(Op.CONNECT)).network.peer.image == "db:v1"
    assert event_of(reading, a_flow(Op.LISTEN)).network.peer is None
    assert event_of(reading, a_flow(Op.CONNECT, address=OWN)).network.peer is None


def test_a_containers_groups_share_their_names():
    reading = Reading(Surroundings(root_of={77: 70, 78: 70, 79: 79}.__getitem__))
    event_of(reading, a_message(Way.ANSWER, answer_to(question_of("a.b"), "10.0.0.9")))

    domains = [event_of(reading, a_flow(Op.CONNECT, cgroup=cgroup)).network.domain for cgroup in (78, 79)]

    assert domains == ["a.b", None]


def test_what_contradicts_its_direction_or_is_no_dns_is_no_event(reading):
    question = question_of("a.b")

    assert event_of(reading, a_message(Way.ANSWER, question)) is None
    assert event_of(reading, a_message(Way.QUESTION, answer_to(question, "1.2.3.4"))) is None
    assert event_of(reading, a_message(Way.QUESTION, b"x" * 40)) is None


def a_unix_connect(told: bytes, walked: bytes = b"") -> bytes:
    fixed = network_records.UNIX.pack(2, len(walked), 0, len(told), 0)
    return head(Kind.UNIX) + fixed + told.ljust(network_records.TOLD_BYTES, b"\0") + walked


@pytest.mark.parametrize(
    ("told", "walked", "path"),
    [
        (b"/run/containerd/containerd.sock", b"", "/run/containerd/containerd.sock"),
        (b"/run/../run/./docker.sock\0left over", b"", "/run/docker.sock"),
        (b"docker.sock", b"/var/run", "/var/run/docker.sock"),
        (b"/docker.sock", b"/jail", "/jail/docker.sock"),
        (b"@plain", b"/tmp", "/tmp/@plain"),
        (b"\0name", b"", "@name"),
        (b"\0a\0b", b"", "@a@b"),
        (b"/\xff\n\x1b[2J", b"", "/\\xff\n\x1b[2J"),
        (b"x" * 108, b"/", "/" + "x" * 108),
    ],
)
def test_a_unix_socket_is_told_by_its_path(reading, told, walked, path):
    event = event_of(reading, a_unix_connect(told, walked))

    assert (event.op, event.network.direction, event.network.protocol) == ("connect", "egress", "unix")
    assert event.network.path == path
    assert event.network.remote_ip is None
    assert fault_of(event) is None


def test_a_unix_socket_without_an_address_is_a_record_fault(reading):
    with pytest.raises(records.RecordFault):
        event_of(reading, a_unix_connect(b""))

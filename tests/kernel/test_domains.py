# SPDX-License-Identifier: Apache-2.0
"""Names that containers ask for, and the connects that carry them. Loopback of a namespace only."""

import ctypes
import os

import pytest

from habitus_flows import ask
from habitus_loopback import answer_to, parts, question_of, run

pytestmark = pytest.mark.kernel


async def test_a_name_asked_for_is_seen_and_a_later_connect_carries_it(watching, namespace):
    recorder, container = await watching()
    code = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto({question!r}, ('127.0.0.1', 53)); s.recv(512)
socket.create_connection(('127.9.9.9', 8080)); socket.create_connection(('127.9.9.9', 8080))
socket.socket().connect_ex(('127.9.9.8', 8080))"""

    status = run(container, code.format(question=question_of("DB.shop.test")), before=namespace.enter)

    events = [event for event in await recorder.of(container, count=6) if event.op != "close"]
    assert status == 0
    assert [event.op for event in events] == ["send", "dns", "connect", "connect"]
    assert [event.network.domain for event in events] == [None, "db.shop.test", "db.shop.test", None]
    assert parts(events[1]) == ("egress", "udp", "127.0.0.1", 53)
    assert parts(events[2]) == ("egress", "tcp", "127.9.9.9", 8080)
    assert events[1].process.pid == events[2].process.pid


async def test_the_c_librarys_own_resolver_is_understood(watching, namespace, tmp_path):
    recorder, container = await watching()
    servers = tmp_path / "resolv.conf"
    servers.write_text("nameserver 127.0.0.1\n")

    def enter():
        namespace.enter()
        libc = ctypes.CDLL(None)
        libc.mount(None, b"/", None, 0x44000, None)  # private, with all below
        libc.mount(os.fsencode(servers), b"/etc/resolv.conf", None, 0x1000, None)

    code = "import socket; socket.create_connection(('api.shop.test', 8080))"
    status = run(container, code, before=enter)

    events = await recorder.of(container, "connect")
    assert status == 0
    named = [event.network.domain for event in events if event.network.protocol == "tcp"]
    assert named == ["api.shop.test"]
    assert [event.network.domain for event in await recorder.of(container, "dns")] == ["api.shop.test"]


async def test_another_containers_names_are_not_taken(watching, new_container, namespace):
    recorder, container = await watching()
    other = new_container()
    await recorder.hooked(other)
    ask = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.connect(('127.0.0.1', 53)); s.send({question!r}); s.recv(512)"""
    connect = "import socket; socket.create_connection(('127.9.9.9', 8080))"

    assert run(other, ask.format(question=question_of("a.test")), before=namespace.enter) == 0
    assert run(container, connect, before=namespace.enter) == 0

    (event,) = await recorder.of(container, "connect")
    assert event.network.domain is None
    assert len(await recorder.of(other, "dns")) == 1


@pytest.mark.parametrize(
    ("server", "kind", "address"),
    [
        ("::1", 1, "127.9.9.9"),
        ("::1", 28, "::1"),
        ("127.0.0.1", 28, "::1"),
        ("::ffff:127.0.0.1", 1, "127.9.9.9"),
    ],
)
async def test_names_come_over_ipv6_and_for_ipv6(watching, namespace, server, kind, address):
    recorder, container = await watching()

    assert run(container, ask("DB.shop.test", address, server, kind), before=namespace.enter) == 0

    (asked,) = await recorder.of(container, "dns")
    (connected,) = await recorder.of(container, "connect")
    assert asked.network.remote_ip == server.removeprefix("::ffff:")
    assert (connected.network.remote_ip, connected.network.domain) == (address, "db.shop.test")


async def test_names_come_over_tcp(watching, namespace):
    recorder, container = await watching()
    code = f"""
import socket
q = {question_of("db.shop.test")!r}
s = socket.create_connection(('127.0.0.1', 53)); s.sendall(len(q).to_bytes(2, 'big') + q); assert s.recv(512)
socket.create_connection(('127.9.9.9', 8080))"""

    assert run(container, code, before=namespace.enter) == 0

    (asked,) = await recorder.of(container, "dns")
    assert (parts(asked), asked.network.domain) == (("egress", "tcp", "127.0.0.1", 53), "db.shop.test")
    domains = [event.network.domain for event in await recorder.of(container, "connect", 2)]
    assert domains == [None, "db.shop.test"]


async def test_an_answer_that_this_socket_did_not_ask_for_names_nothing(watching, namespace):
    recorder, container = await watching()
    code = f"""
import socket
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.settimeout(5)
a.sendto({question_of("a.test", 3)!r}, ('127.0.0.1', 53))
answer = a.recv(512)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
forged = answer.replace(b'a\\4test', b'b\\4test').replace(b'\\x7f\\t\\t\\t', b'\\x7f\\1\\1\\1')
s.sendto(forged, ('127.0.0.1', a.getsockname()[1])); assert forged != answer
socket.socket().connect_ex(('127.1.1.1', 8080)); socket.socket().connect_ex(('127.9.9.9', 8080))"""

    assert run(container, code, before=namespace.enter) == 0

    events = await recorder.of(container, "connect", 2)
    assert [event.network.domain for event in events] == [None, "a.test"]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0" * 11,
        b"\0\7\1\0\0\1\0\0\0\0\0\0",
        b"\0\7\1\0\0\1\0\0\0\0\0\0" + b"\xc0\x0c\0\1\0\1",
        b"\0\7\1\0\0\1\0\0\0\0\0\0" + b"\x3fabc",
        b"\0\7\1\0\0\1\0\0\0\0\0\0" + b"\1a" * 200 + b"\0\0\1\0\1",
        b"\0\7\1\0\0\2\0\0\0\0\0\0" + b"\1a\0\0\1\0\1",
        os.urandom(600),
    ],
)
async def test_a_hostile_message_is_no_event_and_the_next_one_is(watching, namespace, message):
    recorder, container = await watching()
    code = f"import socket; socket.socket(2, 2).sendto({message!r}, ('127.0.0.1', 53))\n"

    assert run(container, code + ask("a\n\x1b[31m.test"), before=namespace.enter) == 0

    (asked,) = await recorder.of(container, "dns")
    assert asked.network.domain == "a\\010\\027\\09131m.test"
    assert not recorder.loader.status().lost


def test_the_test_server_answers_as_a_name_server_does():
    answer = answer_to(question_of("a.b"), "127.9.9.9")

    assert answer.endswith(bytes([127, 9, 9, 9]))

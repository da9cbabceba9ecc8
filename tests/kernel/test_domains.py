# SPDX-License-Identifier: Apache-2.0
"""Names that containers ask for, and the connects that carry them. Loopback of a namespace only."""

import ctypes
import os

import pytest

from habitus_loopback import Namespace, answer_to, parts, question_of, run

pytestmark = pytest.mark.kernel


@pytest.fixture
def watching(collect, new_container):
    async def start(*sensors):
        recorder, container = await collect(sensors=list(sensors or ["network"])), new_container()
        await recorder.hooked(container)
        return recorder, container

    return start


@pytest.fixture
def namespace():
    made = Namespace("127.9.9.9")
    yield made
    made.close()


async def test_a_name_asked_for_is_seen_and_a_later_connect_carries_it(watching, namespace):
    recorder, container = await watching()
    code = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto({question!r}, ('127.0.0.1', 53)); s.recv(512)
socket.create_connection(('127.9.9.9', 8080)); socket.create_connection(('127.9.9.9', 8080))
socket.socket().connect_ex(('127.9.9.8', 8080))"""

    status = run(container, code.format(question=question_of("DB.shop.test")), before=namespace.enter)

    events = await recorder.of(container, count=4)
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
    assert [event.network.domain for event in events] == ["api.shop.test"]
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

    (event,) = await recorder.of(container)
    assert event.network.domain is None
    assert len(await recorder.of(other, "dns")) == 1


def test_the_test_server_answers_as_a_name_server_does():
    answer = answer_to(question_of("a.b"), "127.9.9.9")

    assert answer.endswith(bytes([127, 9, 9, 9]))

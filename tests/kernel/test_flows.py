# SPDX-License-Identifier: Apache-2.0
"""How flows end, what is known of them, and whose the other end is. Loopback only."""

import asyncio
import socket

import pytest

from habitus.events import Peer, Pod
from habitus_flows import connect_to, listener, serving
from habitus_loopback import parts, run

pytestmark = pytest.mark.kernel

MUCH = 3 << 20


async def test_a_refused_connect_is_told_at_once_and_its_end_says_so(watching):
    recorder, container = await watching()
    with listener() as server:
        port = server.getsockname()[1]

    assert run(container, connect_to(port)) != 0

    attempt, end = await recorder.of(container, count=2)
    assert (attempt.op, attempt.network.outcome, end.op) == ("connect", None, "close")
    assert parts(end) == parts(attempt) == ("egress", "tcp", "127.0.0.1", port)
    assert (end.network.outcome, end.network.sent, end.network.received) == ("refused", 0, 0)
    assert end.process.pid == attempt.process.pid


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
async def test_a_close_tells_the_bytes_of_both_directions(watching, host, family):
    recorder, container = await watching()
    talk = "s.sendall(b'x' * 1000); n = len(s.recv(20, socket.MSG_WAITALL)); s.close(); assert n == 20"

    with listener(host, family) as server:
        port = server.getsockname()[1]
        code = f"import socket; s = socket.create_connection(({host!r}, {port})); {talk}"
        running = asyncio.create_task(asyncio.to_thread(run, container, code))
        ours, _ = await asyncio.to_thread(server.accept)
        with ours:
            assert len(ours.recv(1000, socket.MSG_WAITALL)) == 1000
            ours.sendall(b"y" * 20)
            assert await running == 0
            assert ours.recv(1) == b""

    (end,) = await recorder.of(container, "close")
    assert (end.network.direction, end.network.outcome) == ("egress", "established")
    assert (end.network.sent, end.network.received) == (1000, 20)
    assert end.network.duration_ns > 0
    assert end.network.local_port
    assert end.token == b""


async def test_a_served_connection_ends_with_its_bytes(watching):
    recorder, container = await watching()
    running, port = await serving(
        container, "c, _ = s.accept(); c.recv(10, 256); c.sendall(b'y' * 7); c.close()"
    )

    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"x" * 10)
        assert client.recv(8, socket.MSG_WAITALL) == b"y" * 7
        assert await running == 0

    (end,) = await recorder.of(container, "close")
    assert (end.network.direction, end.network.local_port) == ("ingress", port)
    assert (end.network.sent, end.network.received, end.network.outcome) == (7, 10, None)


async def test_a_close_of_much_is_told_however_often_it_comes(watching):
    recorder, container = await watching()
    with listener() as server:
        port = server.getsockname()[1]
        code = f"""
import socket
def go(size):
    s = socket.create_connection(('127.0.0.1', {port})); s.sendall(bytes(size)); s.shutdown(1); s.recv(1)
go(1); go(1); go({MUCH}); go({MUCH})"""
        running = asyncio.create_task(asyncio.to_thread(run, container, code))
        for _ in range(4):
            ours, _ = await asyncio.to_thread(server.accept)
            with ours:
                while await asyncio.to_thread(ours.recv, 1 << 20):
                    pass
        assert await running == 0

    ends = await recorder.of(container, "close", 3)
    assert [end.network.sent for end in ends] == [1, MUCH, MUCH]
    assert len(await recorder.of(container, "connect")) == 1


async def test_a_udp_socket_ends_with_the_bytes_of_its_datagrams(watching):
    recorder, container = await watching()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        port = peer.getsockname()[1]
        code = (
            f"import socket; s = socket.socket(2, socket.SOCK_DGRAM); a = ('127.0.0.1', {port})\n"
            "s.sendto(b'x' * 100, a); s.sendto(b'x' * 11, a); s.recv(9); s.close()"
        )
        running = asyncio.create_task(asyncio.to_thread(run, container, code))
        _, client = await asyncio.to_thread(peer.recvfrom, 200)
        peer.sendto(b"y" * 5, client)
        assert await running == 0

    (end,) = await recorder.of(container, "close")
    assert (parts(end), end.network.sent) == (("egress", "udp", "127.0.0.1", port), 111)
    assert end.network.received == 5


async def test_a_flow_between_two_containers_names_both_ends(watching, new_container):
    recorder, server = await watching()
    client = new_container()
    await recorder.hooked(client)
    running, port = await serving(server, "c, _ = s.accept(); c.recv(1)")

    assert run(client, connect_to(port)) == 0
    assert await running == 0

    (accepts,) = await recorder.of(server, "accept")
    (closes,) = await recorder.of(client, "close")
    assert accepts.network.peer.container == client.id
    assert accepts.network.peer.image == f"unresolved:{client.id[:12]}"
    assert closes.network.peer.container == server.id
    assert closes.network.peer.image == f"unresolved:{server.id[:12]}"


async def test_an_address_that_discovery_knows_names_the_other_end(watching):
    recorder, container = await watching()
    peer = Peer(container="db", image="db:v1", pod=Pod(name="db-0", namespace="shop"))
    recorder.loader.addresses.set("f" * 64, peer, ["192.0.2.7"])

    run(
        container,
        "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('192.0.2.7', 5432))",
    )

    (event,) = await recorder.of(container, "connect")
    assert event.network.peer == peer

# SPDX-License-Identifier: Apache-2.0
"""What the network sensor shows of containers. Loopback only; nothing here leaves the machine."""

import asyncio
import contextlib
import os
import socket
import sys

import pytest

from habitus_collector import network_records, records
from habitus_collector.network_records import Op
from habitus_loopback import parts, run

pytestmark = pytest.mark.kernel

UDP_TALK = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a = ('127.0.0.1', {port})\n"


def listener(family=socket.AF_INET, host="127.0.0.1"):
    return contextlib.closing(socket.create_server((host, 0), family=family))


async def test_a_connect_names_peer_and_process(watching):
    recorder, container = await watching()

    with listener() as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        pid, status = container.run([sys.executable.encode(), b"-I", b"-S", b"-c", code.encode()])

    (event,) = await recorder.of(container, "connect")
    assert status == 0
    assert (event.class_, event.op, event.node) == ("network", "connect", "n1")
    assert parts(event) == ("egress", "tcp", "127.0.0.1", port)
    assert (event.process.pid, event.process.ppid, event.process.parent) == (pid, 0, "")
    assert event.process.name.startswith("python")
    assert event.container.id == container.id


@pytest.mark.parametrize(("host", "shown"), [("::1", "::1"), ("::ffff:127.0.0.1", "127.0.0.1")])
async def test_ipv6_is_seen_and_ipv4_within_it_reads_as_ipv4(watching, host, shown):
    recorder, container = await watching()

    with listener(socket.AF_INET6, "::1") if host == "::1" else listener() as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.socket(socket.AF_INET6).connect(({host!r}, {port}))"
        assert run(container, code) == 0

    (event,) = await recorder.of(container, "connect")
    assert parts(event) == ("egress", "tcp", shown, port)


async def test_a_refused_connect_is_seen(watching):
    recorder, container = await watching()
    with listener() as server:
        port = server.getsockname()[1]

    assert run(container, f"import socket; socket.create_connection(('127.0.0.1', {port}))") != 0

    (event,) = await recorder.of(container, "connect")
    assert parts(event) == ("egress", "tcp", "127.0.0.1", port)


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
async def test_a_server_is_seen_to_listen_and_to_accept(watching, host, family):
    recorder, container = await watching()
    ready, go = os.pipe()
    code = (
        f"import os, socket; s = socket.create_server(({host!r}, 0), family={int(family)})\n"
        f"os.write({go}, b'%d' % s.getsockname()[1]); s.accept()"
    )

    os.set_inheritable(go, True)
    running = asyncio.create_task(asyncio.to_thread(run, container, code))
    port = int(await asyncio.to_thread(os.read, ready, 16))
    with socket.create_connection((host, port)) as client:
        own = client.getsockname()[1]
        assert await running == 0
    os.close(ready)
    os.close(go)

    listens, accepts, *_ = await recorder.of(container, count=2)
    assert (listens.op, parts(listens)) == ("listen", ("ingress", "tcp", None, None))
    assert (accepts.op, parts(accepts)) == ("accept", ("ingress", "tcp", host, own))
    assert listens.network.local_port == accepts.network.local_port == port
    assert accepts.process.pid == listens.process.pid
    assert accepts.process.name == listens.process.name


async def test_a_listener_older_than_the_collector_is_its_containers(collect, new_container):
    container = new_container()
    child, port = await listening_in(container)
    recorder = await collect(sensors=["network"])

    with socket.create_connection(("127.0.0.1", port)):
        (event,) = await recorder.of(container, "accept")
    child.terminate()
    await child.wait()

    assert event.process is None
    assert event.network.local_port == port


async def listening_in(container):
    code = (
        "import socket, sys, time; open(sys.argv[1], 'w').write('0')\n"
        "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(60)"
    )
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-I", "-S", "-c", code, str(container.folder / "cgroup.procs")]
    child = await asyncio.create_subprocess_exec(*command, stdout=pipe)
    return child, int(await child.stdout.readline())


async def test_the_first_datagram_of_a_flow_is_seen_once(watching):
    recorder, container = await watching()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        port = peer.getsockname()[1]
        talk = "[s.sendto(b'x', a) for _ in range(50)]; import time; time.sleep(1.1); s.sendto(b'x', a)"
        assert run(container, UDP_TALK.format(port=port) + talk) == 0

    (event,) = await recorder.of(container, "send")
    assert (event.op, parts(event)) == ("send", ("egress", "udp", "127.0.0.1", port))
    assert event.network.local_port > 0


async def test_a_connected_udp_socket_is_seen_when_it_sends_and_not_before(watching):
    recorder, container = await watching()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        port = peer.getsockname()[1]
        assert run(container, UDP_TALK.format(port=9) + "s.connect(a)") == 0
        assert run(container, UDP_TALK.format(port=port) + "s.connect(a); s.send(b'x'); s.send(b'y')") == 0

    (event,) = await recorder.of(container, "send")
    assert (event.op, parts(event)) == ("send", ("egress", "udp", "127.0.0.1", port))


async def test_udp_over_ipv6_is_seen(watching):
    recorder, container = await watching()

    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
        peer.bind(("::1", 0))
        port = peer.getsockname()[1]
        send = f"import socket; socket.socket(10, socket.SOCK_DGRAM).sendto(b'x', ('::1', {port}))"
        assert run(container, send) == 0

    (event,) = await recorder.of(container, "send")
    assert (event.op, parts(event)) == ("send", ("egress", "udp", "::1", port))


async def test_who_serves_udp_receives_and_its_answers_are_no_flow_of_their_own(watching):
    recorder, container = await watching()
    ready, go = os.pipe()
    code = (
        "import os, socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))\n"
        f"os.write({go}, b'%d' % s.getsockname()[1]); d, a = s.recvfrom(9); s.sendto(d, a)"
    )

    os.set_inheritable(go, True)
    running = asyncio.create_task(asyncio.to_thread(run, container, code))
    port = int(await asyncio.to_thread(os.read, ready, 16))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", port))
        own = client.getsockname()[1]
        assert await running == 0
    os.close(ready)
    os.close(go)

    (event,) = await recorder.of(container, "receive")
    assert not await recorder.of(container, "send", 0)
    assert (event.op, parts(event)) == ("receive", ("ingress", "udp", "127.0.0.1", own))
    assert event.network.local_port == port


async def test_a_flood_of_the_same_connect_is_told_once_a_second_and_counted(watching):
    recorder, container = await watching()
    seen = []
    readers = recorder.loader._readers
    recorder.loader._readers = {
        kind: lambda head, raw, *rest, read=read: (seen.append(raw), read(head, raw, *rest))[1]
        for kind, read in readers.items()
    }
    with listener() as server:
        port = server.getsockname()[1]
    code = f"""
import socket, time
def go():
    with socket.socket() as s: s.connect_ex(('127.0.0.1', {port}))
[go() for _ in range(100)]; time.sleep(1.2); go()"""

    assert run(container, code) == 0

    events = await recorder.of(container, "connect", 2)
    assert len(events) == 2
    flows = [network_records.flow(records.head_of(raw), raw) for raw in seen]
    assert [flow.repeats for flow in flows if flow.op == Op.CONNECT] == [0, 99]


async def test_the_hosts_own_network_is_no_event(watching):
    recorder, container = await watching()

    with listener() as server, socket.create_connection(server.getsockname()):
        server.accept()[0].close()
    assert run(container, "import socket; socket.socket().connect_ex(('127.0.0.1', 9))") == 0

    await recorder.of(container, "connect")
    assert {event.container.id for event in recorder.events} == {container.id}


async def test_the_process_sensor_stands_beside_it(watching):
    recorder, container = await watching("process", "network")

    assert run(container, "import socket; socket.socket().connect_ex(('127.0.0.1', 9))") == 0

    events = await recorder.of(container, count=4)
    assert [event.op for event in events][:4] == ["exec", "connect", "close", "exit"]
    assert {"on_exec", "on_tcp_state", "on_ingress"} <= set(recorder.loader.status().hooks)


async def test_programs_of_others_on_the_same_root_go_on(watching, collect):
    recorder, container = await watching()
    beside = await collect(sensors=["network"])
    await beside.hooked(container)

    with listener() as server:
        port = server.getsockname()[1]
        talk = (
            UDP_TALK.format(port=port) + f"s.sendto(b'x', a); socket.create_connection(('127.0.0.1', {port}))"
        )
        assert run(container, talk) == 0

    for each in (recorder, beside):
        seen = [event.op for event in await each.of(container, count=4)]
        assert [op for op in seen if op != "close"] == ["send", "connect"]


async def test_without_the_setting_no_program_is_attached(collect, new_container):
    recorder, container = await collect(), new_container()

    assert run(container, "import socket; socket.socket().connect_ex(('127.0.0.1', 9))") == 0

    await recorder.of(container, "exit")
    assert not [event for event in recorder.events if event.class_ == "network"]
    assert set(recorder.loader.status().hooks) == {"on_exec", "on_fork", "on_exit", "on_free"}

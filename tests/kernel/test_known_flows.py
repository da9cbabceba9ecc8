# SPDX-License-Identifier: Apache-2.0
"""What the profile knows of flows and names stays in the kernel; what differs does not."""

import socket

import pytest

from habitus_flows import ask, connect_to, judge, kernel_of, know, listener, serving
from habitus_loopback import run

pytestmark = pytest.mark.kernel

UNIX = "import socket; s = socket.socket(socket.AF_UNIX); s.connect_ex({address!r})"


async def test_a_known_connect_and_its_close_stay_in_the_kernel_until_the_profile_changes(watching):
    recorder, container = await watching()
    profile = await judge(recorder, container, 1)
    with listener() as server, listener() as other:
        port, new_port = server.getsockname()[1], other.getsockname()[1]
        assert run(container, connect_to(port)) == 0
        first, _ = await recorder.of(container, count=2)
        know(recorder, [first], 1)
        recorder.events.clear()

        assert run(container, connect_to(port)) == 0
        assert run(container, connect_to(new_port)) == 0
        assert {event.network.remote_port for event in await recorder.of(container, count=2)} == {new_port}
        assert kernel_of(recorder).passed() == {"network": 1}

        recorder.events.clear()
        kernel_of(recorder).revise(profile, 2)
        assert run(container, connect_to(port)) == 0
        (again,) = await recorder.of(container, "connect")
    assert (again.network.remote_port, again.token) == (port, first.token)


async def test_a_known_server_is_quiet_for_every_client_of_the_same_kind(watching):
    recorder, container = await watching()
    await judge(recorder, container, 1)
    running, port = await serving(container, "[s.accept()[0].close() for _ in range(3)]")
    with socket.create_connection(("127.0.0.1", port)):
        listens, accepts, *_ = await recorder.of(container, count=2)
    know(recorder, [listens, accepts], 1)
    await recorder.of(container, "close")
    recorder.events.clear()

    for own in ("127.0.0.1", "127.0.0.77"):
        socket.create_connection(("127.0.0.1", port), source_address=(own, 0)).close()
    assert await running == 0

    assert [event.op for event in await recorder.of(container, count=0)] == []
    assert kernel_of(recorder).passed() == {"network": 2}


async def test_a_known_datagram_flow_is_quiet(watching):
    recorder, container = await watching()
    await judge(recorder, container, 1)
    code = "import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 9))"
    assert run(container, code) == 0
    (sent,) = await recorder.of(container, "send")
    know(recorder, [sent], 1)
    await recorder.of(container, "close")
    recorder.events.clear()

    assert run(container, code) == 0

    assert await recorder.of(container, count=0) == []


async def test_a_known_name_stays_in_the_kernel_with_its_answer_and_a_later_connect_is_still_named(
    watching, namespace
):
    recorder, container = await watching()
    await judge(recorder, container, 1)
    assert run(container, ask("db.shop.test"), before=namespace.enter) == 0
    events = await recorder.of(container, count=4)
    know(recorder, [event for event in events if event.op in {"send", "dns"}], 1)
    recorder.events.clear()

    # Another process, another letter case, another number of the question.
    assert run(container, ask("dB.Shop.test", number=9), before=namespace.enter) == 0

    events = await recorder.of(container, count=2)
    assert [event.op for event in events] == ["connect", "close"]
    assert {event.network.domain for event in events} == {"db.shop.test"}
    know(recorder, events[:1], 1)
    recorder.events.clear()
    assert run(container, ask("db.shop.test", number=10), before=namespace.enter) == 0
    assert await recorder.of(container, count=0) == []


async def test_another_name_for_the_same_address_is_no_longer_known(watching, namespace):
    recorder, container = await watching()
    await judge(recorder, container, 1)
    for name in ("db.shop.test", "db.shop.test"):
        recorder.events.clear()
        assert run(container, ask(name), before=namespace.enter) == 0
        await recorder.of(container, "close", 1)
    (named,) = await recorder.of(container, "connect")
    know(recorder, [named], 1)
    recorder.events.clear()

    assert run(container, ask("evil.test"), before=namespace.enter) == 0
    assert [event.network.domain for event in await recorder.of(container, "dns")] == ["evil.test"]
    recorder.events.clear()
    run(container, connect_to(8080, "127.9.9.9"), before=namespace.enter)

    (event,) = await recorder.of(container, "connect")
    assert event.network.domain == "evil.test"
    assert event.token not in {b"", named.token}


async def test_a_known_unix_socket_is_quiet_and_another_is_not(watching):
    recorder, container = await watching()
    await judge(recorder, container, 1)
    assert run(container, UNIX.format(address="/run/a.sock")) == 0
    know(recorder, await recorder.of(container, "connect"), 1)
    recorder.events.clear()

    assert run(container, UNIX.format(address="/run/a.sock")) == 0
    assert run(container, UNIX.format(address="/run/b.sock")) == 0

    assert [event.network.path for event in await recorder.of(container)] == ["/run/b.sock"]

# SPDX-License-Identifier: Apache-2.0
"""Connects to Unix sockets: the way to a container runtime."""

import contextlib
import os
import socket

import pytest

from habitus_loopback import run

pytestmark = pytest.mark.kernel

UNIX = "import socket; s = socket.socket(socket.AF_UNIX); s.connect_ex({address!r})"


async def test_unix_sockets_are_told_by_their_path(watching, tmp_path):
    recorder, container = await watching()
    socket_path = tmp_path / "containerd.sock"
    (tmp_path / "jail").mkdir()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(os.fspath(socket_path))
        server.listen()
        assert run(container, UNIX.format(address=os.fspath(socket_path))) == 0
        assert run(container, UNIX.format(address="containerd.sock"), before=lambda: os.chdir(tmp_path)) == 0
        assert (
            run(container, UNIX.format(address="../x/./y.sock"), before=lambda: os.chdir(tmp_path / "jail"))
            == 0
        )
        assert run(container, UNIX.format(address=b"\0name\0of")) == 0

    events = await recorder.of(container, "connect", 4)
    assert [event.network.path for event in events] == [
        os.fspath(socket_path), os.fspath(socket_path), os.fspath(tmp_path / "x/y.sock"), "@name@of",
    ]  # fmt: skip
    assert {event.network.protocol for event in events} == {"unix"}
    assert {event.network.direction for event in events} == {"egress"}

# SPDX-License-Identifier: Apache-2.0
"""What a container asks of the kernel through io_uring is seen, though no system call tells of it."""

import contextlib
import os
import socket

import pytest

from habitus_flows import listener
from habitus_loopback import parts

pytestmark = pytest.mark.kernel


@pytest.fixture
def ask(collect, new_container, ring, tmp_path):
    """Run requests in a new container, in the test's folder; return the file events of it."""

    async def ask(*words: str, status: int = 0, count: int = 1):
        recorder, container = await collect(sensors=["process", "uring"]), new_container()
        argv = [b"ring", *(os.fsencode(word) for word in words)]
        _, ended = container.run(argv, exe=ring, before=lambda: os.chdir(tmp_path))
        assert os.waitstatus_to_exitcode(ended) == status
        events = await recorder.of(container, count=count + 2)
        assert not recorder.loader.status().lost
        return [event for event in events if event.class_ == "file"]

    return ask


def told(events):
    return [(event.op, event.file.path, event.file.new_path, event.file.flags) for event in events]


async def test_every_deed_is_told_with_its_paths(ask, tmp_path):
    (tmp_path / "a").write_text("x")

    events = await ask(
        *("open", "a", str(os.O_RDONLY)),
        *("open", str(tmp_path / "b"), str(os.O_CREAT | os.O_WRONLY | os.O_TRUNC)),
        *("mkdir", "folder"),
        *("rename", "b", "folder/../c"),
        *("link", "c", "folder/d"),
        *("symlink", "/etc/shadow", "e"),
        *("unlink", "c"),
        *("rmdir", "./gone/../gone"),
        status=2,
        count=8,
    )

    at = str(tmp_path)
    assert told(events) == [
        ("open", f"{at}/a", None, ["read"]),
        ("create", f"{at}/b", None, ["write", "truncate"]),
        ("create", f"{at}/folder", None, ["directory"]),
        ("rename", f"{at}/b", f"{at}/c", []),
        ("link", f"{at}/c", f"{at}/folder/d", []),
        ("link", "/etc/shadow", f"{at}/e", ["symbolic"]),
        ("unlink", f"{at}/c", None, []),
        ("unlink", f"{at}/gone", None, ["directory"]),
    ]
    assert {event.file.via for event in events} == {"io_uring"}
    assert {event.process.name for event in events} == {"ring"}


async def test_a_ring_that_the_kernel_polls_is_its_owners(ask, tmp_path):
    (event,) = await ask("-p", "open", "new", str(os.O_CREAT | os.O_RDWR))

    assert told([event]) == [("create", f"{tmp_path}/new", None, ["read", "write"])]
    assert event.process.name == "ring"


async def test_hostile_names_arrive_as_they_are(ask, tmp_path):
    name = os.fsdecode(b"\xff\x1b[2J\n")

    (event,) = await ask("mkdir", name)

    assert event.file.path == f"{tmp_path}/\\xff\x1b[2J\n"


async def test_a_descriptor_that_only_names_a_file_opens_nothing(ask):
    assert await ask("open", "/etc/passwd", str(os.O_PATH), count=0) == []


async def test_the_same_within_a_second_is_sent_once(ask):
    events = await ask(*("open", "/etc/passwd", "0") * 50)

    assert len(events) == 1


async def test_a_connect_through_the_ring_is_one_like_any_other(watching, ring):
    recorder, container = await watching()

    with listener() as server:
        port = server.getsockname()[1]
        _, status = container.run([ring.encode(), b"connect", b"127.0.0.1", str(port).encode()])

    assert status == 0
    (event,) = await recorder.of(container, "connect")
    assert parts(event) == ("egress", "tcp", "127.0.0.1", port)
    assert event.process.name == "ring"


async def test_a_connect_to_a_unix_socket_through_the_ring_is_one_too(watching, ring, tmp_path):
    recorder, container = await watching()
    path = os.fspath(tmp_path / "containerd.sock")

    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path)
        server.listen()
        _, status = container.run([ring.encode(), b"unix", path.encode()])

    assert status == 0
    (event,) = await recorder.of(container, "connect")
    assert (event.network.protocol, event.network.path) == ("unix", path)

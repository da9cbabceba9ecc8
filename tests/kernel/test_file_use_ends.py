# SPDX-License-Identifier: Apache-2.0
"""Nothing is remembered of an open file beyond the end of the process that used it, however that came."""

import asyncio
import os
import struct
import time

import pytest
from tests.kernel.test_file_uses import PAGE, uses

from habitus_known import PYTHON

pytestmark = pytest.mark.kernel

MANY = 5_000
"""More than the map takes: USES_MAX of bpf/lib/file_uses.h is 4,096."""
ORPHAN = """
time.sleep(0.3); os.set_inheritable(a, True)
if os.fork(): os._exit(0)
os.execv("/bin/sleep", ["sleep", "0.3"])
"""
EARLY = """
def others(): time.sleep(0.3); os.read(a, 1); os.read(a, 1)
threading.Thread(target=others).start()
libc.syscall(60, 0)  # the first thread ends, the process does not
"""


@pytest.fixture
async def watched(collect, new_container):
    return await collect(sensors=["process", "file"]), new_container()


@pytest.fixture
def kept(watched):
    """How many uses are remembered, by the map and by the count beside it."""
    loaded = next(each for each in watched[0].loader._sensors._objects if each.has_map("uses"))
    entries, section = loaded.map("uses"), loaded.map(".bss.uses")

    def kept():
        (counted,) = struct.unpack("=Q", section.lookup(struct.pack("=I", 0)))
        return len(list(entries.keys())), counted

    return kept


@pytest.fixture
def files(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(b"x" * PAGE)
    return tmp_path


async def until(condition):
    deadline = time.monotonic() + 20  # emulated machines are slow
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def begun(watched, files, kept, code):
    """Start Python that uses `a` and then runs the code; return once its use is remembered."""
    _, container = watched
    code = f"""
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
os.chdir({str(files)!r})
a = os.open("a", 0); os.read(a, 1); os.read(a, 2)
{code}"""
    pid, _ = container.run([PYTHON, b"-ISc", code.encode()], wait=False)
    await until(lambda: kept()[0] >= 1)
    return pid


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(0.3); os.kill(os.getpid(), 9)",
        "time.sleep(0.3); os.execv('/bin/sleep', ['sleep', '0.3'])",
        "b = os.dup(a); os.read(b, 1); time.sleep(0.3); os.close(a); os.read(b, 1)",
        "os.fork() or (os.read(a, 1), os.read(a, 1)); time.sleep(0.3)",
        ORPHAN,
        EARLY,
        "time.sleep(0.3); libc.abort()",
    ],
    ids=["killed", "exec", "dup", "fork", "orphan", "leader", "abort"],
)
async def test_an_end_leaves_nothing(watched, files, kept, code):
    pid = await begun(watched, files, kept, code)

    await asyncio.to_thread(os.waitpid, pid, 0)

    await until(lambda: kept() == (0, 0))


async def test_a_whole_container_that_is_killed_leaves_nothing(watched, files, kept):
    await begun(watched, files, kept, "os.fork(); os.fork(); os.read(a, 1); time.sleep(60)")

    watched[1].kill()

    await until(lambda: kept() == (0, 0))


async def test_a_close_by_io_uring_is_found_at_the_next_use(watched, files, kept, ring):
    recorder, container = watched

    _, status = container.run([ring.encode(), b"use", bytes(files / "a"), bytes(files / "b")])

    assert status == 0
    await until(lambda: len(uses(recorder, container, files)) >= 4)
    assert uses(recorder, container, files) == [
        ("read", "a", 2),
        ("close", "a", 3, None),
        ("read", "b", 2),
        ("close", "b", 4, None),
    ]
    assert kept() == (0, 0)


async def test_more_than_there_is_room_for_leaves_nothing(watched, files, kept):
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({MANY} + 50, {MANY} + 50))
for i in range({MANY}):
    f = os.open(str(i), os.O_CREAT | os.O_RDWR); os.write(f, b"1"); os.write(f, b"2")
"""

    pid = await begun(watched, files, kept, code)
    await asyncio.to_thread(os.waitpid, pid, 0)

    await until(lambda: kept() == (0, 0))
    assert not watched[0].loader.status().lost

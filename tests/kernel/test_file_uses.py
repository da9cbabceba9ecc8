# SPDX-License-Identifier: Apache-2.0
"""What containers read and write of open files: the first time at once, the sums when they are done."""

import asyncio
import os
import sys
import time

import pytest

from habitus_old_calls import built
from habitus_testing import eventually

pytestmark = pytest.mark.kernel

PYTHON = os.path.realpath(sys.executable).encode()
PAGE = 4096


@pytest.fixture
async def watched(collect, new_container):
    return await collect(sensors=["process", "file"]), new_container()


def uses(recorder, container, under):
    own = [event for event in recorder.events if event.container.id == container.id and event.file]
    return [
        (event.op, os.path.relpath(event.file.path, under), *amounts(event))
        for event in own
        if event.op in {"read", "write", "close"} and event.file.path.startswith(str(under))
    ]


def amounts(event):
    return (event.file.read, event.file.written) if event.op == "close" else (event.file.bytes,)


async def used(watched, code, under, count, **options):
    """Run Python in the container; return what it read and wrote below a folder, in order."""
    recorder, container = watched
    before = len(uses(recorder, container, under))
    code = f"import os, ctypes\nos.chdir({str(under)!r})\n{code}"
    _, status = container.run([PYTHON, b"-ISc", code.encode()], **options)
    assert status == 0
    deadline = time.monotonic() + 20  # emulated machines are slow
    while len(found := uses(recorder, container, under)) < before + count:
        assert time.monotonic() < deadline, f"of {count} came {found[before:]}"
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    return uses(recorder, container, under)[before:]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3 * PAGE)
    (tmp_path / "b").write_bytes(b"x" * PAGE)
    return tmp_path


async def test_the_first_read_and_write_are_told_at_once_and_the_sums_at_close(watched, files):
    code = """
a = os.open("a", os.O_RDWR)
os.read(a, 10); os.read(a, 20); os.write(a, b"1"); os.write(a, b"23"); os.pread(a, 40, 0)
b = os.open("b", 0); os.read(b, 7); os.close(b)
os.close(a)
os.close(os.open("b", 0))
"""

    assert await used(watched, code, files, 4) == [
        ("read", "a", 10),
        ("write", "a", 1),
        ("read", "b", 7),
        ("close", "a", 70, 3),
    ]


async def test_what_is_read_by_every_call_counts(watched, files):
    code = """
libc = ctypes.CDLL(None)
a, out = os.open("a", 0), os.open("new", os.O_CREAT | os.O_RDWR)
room = bytearray(10)
os.read(a, 1); os.readv(a, [room]); os.pread(a, 100, 0); os.preadv(a, [bytearray(1000)], 0)
os.lseek(a, 0, 0)
os.write(out, b"1"); os.writev(out, [b"2" * 10]); os.pwrite(out, b"3" * 100, 0)
os.pwritev(out, [b"4" * 1000], 0)
os.copy_file_range(a, out, 4096, 0, 0)
r, w = os.pipe()
assert os.splice(a, w, 3000, 0) == 3000
assert os.splice(r, out, 3000, offset_dst=0) == 3000
assert os.sendfile(w, a, 0, 2000) == 2000
os.read(r, 2000); os.write(w, b"a pipe is no file")
assert os.read(a, 100000) and not os.read(a, 1)
os.close(a); os.close(out)
"""

    *_, a, out = await used(watched, code, files, 4)

    assert a == ("close", "a", 1 + 10 + 100 + 1000 + 4096 + 3000 + 2000 + 3 * PAGE, None)
    assert out == ("close", "new", None, 1 + 10 + 100 + 1000 + 4096 + 3000)


@pytest.mark.parametrize(
    "end",
    [
        "os._exit(0)",
        "os.dup2(os.open('b', 0), a)",
        "os.execv('/bin/true', ['true'])",
        "os.closerange(a, a + 50)",
        "os.kill(os.getpid(), 9) if os.fork() == 0 else os.wait(); os._exit(0)",
    ],
    ids=["exit", "dup2", "exec", "close_range", "fork"],
)
async def test_however_a_use_ends_its_sums_are_told_once(watched, files, end):
    code = f'a = os.open("a", 0); os.read(a, 10); os.read(a, 20); {end}'

    assert await used(watched, code, files, 2) == [("read", "a", 10), ("close", "a", 30, None)]


async def test_another_file_under_the_same_descriptor_is_another_use(watched, files):
    code = """
a = os.open("a", 0); os.set_inheritable(a, True); os.read(a, 10); os.read(a, 20)
os.dup2(os.open("b", 0), a); os.read(a, 5); os.read(a, 6)
os.execv("/bin/sh", ["sh", "-c", f"read x <&{a}; exit 0"])
"""

    found = await used(watched, code, files, 5)

    assert found[:3] == [("read", "a", 10), ("close", "a", 30, None), ("read", "b", 5)]
    assert ("close", "b", 11, None) in found


OLD_CALLS = """
    static char name[] = "a", room[4096];
    static struct { unsigned int base, length; } vector[] = { { 0, 1000 } };
    long a = call(5, name, 2, 0);                            /* open */
    const void *fd = (const void *)a;

    vector[0].base = (unsigned int)(unsigned long)room;
    failed |= call(3, fd, (long)room, 10) != 10;             /* read */
    failed |= call(4, fd, (long)room, 1) != 1;               /* write */
    failed |= call5(180, fd, (long)room, 100, 0, 0) != 100;  /* pread64 */
    failed |= call5(181, fd, (long)room, 20, 0, 0) != 20;    /* pwrite64 */
    failed |= call(145, fd, (long)vector, 1) != 1000;        /* readv */
    failed |= call(146, fd, (long)vector, 1) != 1000;        /* writev */
    failed |= call5(333, fd, (long)vector, 1, 0, 0) != 1000; /* preadv */
    failed |= call5(334, fd, (long)vector, 1, 0, 0) != 1000; /* pwritev */
    failed |= call(6, fd, 0, 0) != 0;                        /* close */
"""


async def test_calls_of_32_bits_count_and_end_a_use(watched, files, tmp_path_factory):
    recorder, container = watched
    program = built(
        tmp_path_factory.mktemp("old"), OLD_CALLS + "for (; !failed;) call(29, 0, 0, 0); /* pause */"
    )

    container.run([bytes(program)], before=lambda: os.chdir(files), wait=False)

    await eventually(lambda: len(uses(recorder, container, files)) == 3)
    assert uses(recorder, container, files) == [
        ("read", "a", 10),
        ("write", "a", 1),
        ("close", "a", 10 + 100 + 1000 + 1000, 1 + 20 + 1000 + 1000),
    ]


async def test_the_same_once_a_second_and_no_sums_of_what_was_held_back(watched, files):
    code = 'for _ in range(20): a = os.open("a", 0); os.read(a, 10); os.read(a, 20); os.close(a)'

    found = await used(watched, code, files, 2)

    assert found[:2] == [("read", "a", 10), ("close", "a", 30, None)]
    assert len(found) <= 4  # 4: the machine took a second for it


async def test_a_known_file_is_read_in_silence_and_other_files_are_not(known, files):
    code = 'a = os.open("a", 0); os.read(a, 1); os.read(a, 2); os.close(a)'
    code = f"import os\nos.chdir({str(files)!r})\n{code}"

    learned = await known.learn(code, files)
    passed = known.sensors.passed().get("file", 0)
    again = await known.did(code, files)
    counted = known.sensors.passed()["file"] - passed

    assert [op for op, *_ in learned] == ["open", "read", "close"]
    assert again == []
    assert counted >= 3
    assert [op for op, *_ in await known.did(code.replace('"a"', '"b"'), files)] == ["open", "read", "close"]


async def test_nothing_of_it_is_told_where_the_setting_is_off(collect, new_container, files):
    watched = await collect(sensors=["process", "file"], file_totals=False), new_container()

    code = 'a = os.open("a", os.O_RDWR); os.read(a, 1); os.write(a, b"1"); os.ftruncate(a, 5)'

    assert await used(watched, code, files, 1) == [("write", "a", None)]

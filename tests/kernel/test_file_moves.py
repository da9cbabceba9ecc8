# SPDX-License-Identifier: Apache-2.0
"""What io_uring moved, past every system call: a known file under another path is sent all the same."""

import asyncio
import errno
import struct
import subprocess
import time

import pytest

from habitus_known import Known

pytestmark = pytest.mark.kernel

OPEN = "fd = __import__('os').open({!r}, 0)"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a" / "d").mkdir(parents=True)
    (tmp_path / "a" / "d" / "x").write_text("x")
    return tmp_path


@pytest.fixture
async def known(collect, new_container):
    """By sys_exit: the rung of fentry sees what io_uring moves as it happens, and counts no requests."""
    return Known(await collect(sensors=["process", "file"], file_rung="sys_exit"), new_container())


@pytest.fixture
def asked(known):
    """How many moves were asked of io_uring whose end was not seen: until then no path holds."""
    loaded = next(each for each in known.sensors._objects if each.has_map("asked_moves"))
    section = loaded.map(".bss.moves")

    def asked():
        _, outstanding = struct.unpack("=QQ", section.lookup(struct.pack("=I", 0)))
        return outstanding

    return asked


async def until(condition):
    deadline = time.monotonic() + 20  # emulated machines are slow
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def learn(known, folder):
    here = f"{folder}/a/d/x"
    await known.learn(OPEN.format(here), folder)
    assert await known.did(OPEN.format(here), folder) == []
    return [("open", f"{folder}/b/d/x", None, ["read"])]


@pytest.mark.parametrize("polled", [[], ["-p"]])
async def test_a_known_file_in_a_renamed_folder_is_sent(known, asked, ring, folder, polled):
    expected = await learn(known, folder)

    await asyncio.to_thread(
        subprocess.run, [ring, *polled, "rename", f"{folder}/a", f"{folder}/b"], check=True
    )

    assert await known.did(OPEN.format(f"{folder}/b/d/x"), folder) == expected
    await until(lambda: asked() == 0)


@pytest.fixture
async def ask(ring):
    """Ask for one move that the kernel does when it is let, and of whose end it tells nothing."""
    started = []

    async def ask(*words):
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(ring, "-w", *map(str, words), **pipes)
        started.append(process)
        assert await process.stdout.readline() == b"asked\n"
        return process

    yield ask
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_rename_of_whose_end_nothing_is_told_is_no_way_past(known, asked, ask, folder):
    expected = await learn(known, folder)

    asker = await ask("rename", folder / "a", folder / "b")
    waiting = asked()
    asker.stdin.write(b"x")
    await until((folder / "b").exists)
    first = await known.did(OPEN.format(f"{folder}/b/d/x"), folder)
    done = asked()
    known.know()
    second = await known.did(OPEN.format(f"{folder}/b/d/x"), folder)
    asker.kill()
    await until(lambda: asked() == 0)

    assert (waiting, done) == (1, 1)
    assert (first, second) == (expected, [])
    assert await known.did(OPEN.format(f"{folder}/b/d/x"), folder) == []


async def test_a_request_that_the_ring_never_took_ends_no_other(known, asked, ask, ring, folder):
    expected = await learn(known, folder)

    asker = await ask("rename", folder / "a", folder / "b")
    refused = await asyncio.create_subprocess_exec(ring, "refused", f"{folder}/a", f"{folder}/c")
    assert await refused.wait() == errno.EINVAL  # it has an end, and that is told
    outstanding = asked()
    asker.stdin.write(b"x")
    await until((folder / "b").exists)

    assert outstanding == 1
    assert await known.did(OPEN.format(f"{folder}/b/d/x"), folder) == expected


async def test_a_move_that_is_called_off_is_over(asked, ask, folder):
    asker = await ask("rename", folder / "a", folder / "b")
    assert asked() == 1

    asker.kill()

    await until(lambda: asked() == 0)
    assert (folder / "a").exists()


@pytest.mark.parametrize(("what", "counts"), [("rmdir", 1), ("unlink", 0)])
async def test_a_removed_folder_counts_and_a_removed_file_does_not(asked, ask, folder, what, counts):
    path = folder / what
    if what == "rmdir":
        path.mkdir()
    else:
        path.touch()

    asker = await ask(what, path)
    outstanding = asked()
    asker.stdin.write(b"x")
    await until(lambda: not path.exists())
    asker.kill()

    assert outstanding == counts
    await until(lambda: asked() == 0)

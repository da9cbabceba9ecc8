# SPDX-License-Identifier: Apache-2.0
"""Both ways to see files say the same, and what only the cheaper one can say.

Named so that only `make test-vm` runs it: it needs a kernel that takes programs at its functions.
"""

import asyncio
import re
import shutil

import pytest
from tests.kernel.test_files import run, seen

from habitus_collector import rungs

pytestmark = pytest.mark.kernel

SENSORS = ["process", "file"]
EVENTS = 46
"""That the work below makes."""
BY = {rungs.FENTRY: "file_fentry.bpf.o", rungs.SYS_EXIT: "file.bpf.o"}
WORK = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    held = [a.encode() if isinstance(a, str) else a for a in arguments]
    result = libc.syscall(number, *held)
    assert result >= 0, (number, ctypes.get_errno())
    return result
def fails(what, *arguments):
    try: what(*arguments)
    except OSError: return
    raise AssertionError(what)
call(165, 0, "/", 0, 0x44000, 0)  # private, with all below
os.chdir({here!r})

for mode in ["w", "a", "r+", "w"]: open("new", mode).close()
open("old").close()
os.close(os.open(".", 0)); os.close(os.open(".", os.O_PATH)); fails(os.open, "absent", 0)
how = (ctypes.c_uint64 * 3)(os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600, 0)
os.close(call(437, -100, "two", how, 24)); os.close(call(85, "creat", 0o600))
m = os.memfd_create("m"); os.close(os.open(f"/proc/self/fd/{{m}}", os.O_RDONLY))

fd = os.open("old", os.O_RDWR); os.read(fd, 4); os.read(fd, 2); os.pread(fd, 5, 0); os.write(fd, b"123")
os.writev(fd, [b"4", b"56"]); os.ftruncate(fd, 7); os.fchmod(fd, 0o640); os.fchown(fd, 1, -1)
other = os.dup(fd); os.dup2(m, fd); os.close(other); os.close(m)
os.truncate("creat", 3); fails(os.truncate, "absent", 3); fails(os.truncate, ".", 3)

os.mkdir("d"); fails(os.mkdir, "d"); d = os.open("d", os.O_PATH); os.mkdir("e", dir_fd=d)
os.mkfifo("p"); os.mknod("null", 0o20600, os.makedev(1, 3)); os.mknod("f", dir_fd=d)
os.rename("new", "d/moved"); os.rename("moved", "back", src_dir_fd=d); fails(os.rename, "absent", "x")
call(316, -100, "two", -100, "creat", 2); fails(os.rename, "d", "d/e/f")
os.link("old", "hard"); os.symlink("../etc/shadow", "soft"); fails(os.link, "absent", "x")
os.chmod("hard", 0o4755); os.chown("hard", 0, 0); os.chown("soft", 5, 6, follow_symlinks=False)
fails(os.rmdir, "d"); os.rmdir("d/e"); os.unlink("d/f"); os.unlink("soft"); fails(os.unlink, "absent")

call(165, "d", "d", 0, 4096, 0); call(165, "none", "d", 0, 4096 | 32, 0)
call(165, "none", "d", "tmpfs", 0, 0)
os.close(os.open("d/x", os.O_CREAT | os.O_WRONLY))
os.close(os.open("d", 0o20000000 | os.O_DIRECTORY | os.O_RDWR, 0o600))  # without a name
handle, mount = ctypes.create_string_buffer(136), ctypes.c_int()
handle[0:4] = (128).to_bytes(4, "little")
call(303, -100, "d/x", handle, ctypes.byref(mount), 0)
folder = os.open("d", os.O_RDONLY); os.close(call(304, folder, handle, os.O_RDONLY)); os.close(folder)
call(166, "d", 0); call(166, "d", 2)
context = call(430, "tmpfs", 0); call(431, context, 6, 0, 0, 0)
call(429, call(432, context, 0, 0), "", -100, "d", 4); os.mkdir("d/y")
if not os.fork(): os.execv("/bin/cat", ["cat", "hard"])
os.wait()
os.mkdir("root"); os.chroot("root"); os.mkdir("/below")
"""


def told(event):
    file = event.file
    sums = (file.bytes, file.read, file.written) if event.op != "open" else ()
    path = re.sub(r"#\d+", "#number", file.path)  # of a file without a name: its inode
    return (event.process.name, event.op, path, file.new_path, file.flags, file.mode, file.owner, *sums)


async def of_rung(rung, collect, new_container, folder):
    recorder, container = await collect(sensors=SENSORS, file_rung=rung), new_container()
    assert BY[rung] in recorder.loader._sensors.taken
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "old").write_text("0123456789" * 10)
    run(container, WORK.format(here=str(folder)))
    await seen(recorder, container, folder, EVENTS)
    await asyncio.sleep(0.5)
    own = [event for event in recorder.events if event.container.id == container.id and event.file]
    assert not recorder.loader.status().lost
    return [told(event) for event in own if str(folder) in f"{event.file.path}{event.file.new_path}"]


async def test_both_say_the_same(collect, new_container, tmp_path):
    folder = tmp_path / "work"

    one = await of_rung(rungs.FENTRY, collect, new_container, folder)
    other = await of_rung(rungs.SYS_EXIT, collect, new_container, folder)

    assert one == other


async def test_names_are_as_the_kernel_understood_them(collect, new_container, tmp_path):
    recorder, container = await collect(sensors=SENSORS, file_rung=rungs.FENTRY), new_container()
    here = str(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    code = f"""
import os
os.chdir({here!r})
os.mkdir("link/a"); os.rename("link/a", "link/../real/b"); os.symlink("to", "link/l"); os.rmdir("link/b")
os.unlink("link/l")
"""

    run(container, code)

    assert await seen(recorder, container, here, 5) == [
        ("create", f"{here}/real/a", None, ["directory"]),
        ("rename", f"{here}/real/a", f"{here}/real/b", []),
        ("link", "to", f"{here}/real/l", ["symbolic"]),
        ("unlink", f"{here}/real/b", None, ["directory"]),
        ("unlink", f"{here}/real/l", None, []),
    ]


async def test_a_name_that_a_thread_changes_meanwhile_is_told_as_it_was(collect, new_container, tmp_path):
    recorder, container = await collect(sensors=SENSORS, file_rung=rungs.FENTRY), new_container()
    code = f"""
import ctypes, os, threading
os.chdir({str(tmp_path)!r})
libc = ctypes.CDLL(None)
names, name = [b"made", b"lied"], ctypes.create_string_buffer(8)
def change():
    while not over:
        for each in names: ctypes.memmove(name, each, 4)
over = []
thread = threading.Thread(target=change); thread.start()
for _ in range(300):
    libc.mkdir(name, 0o700)
    for each in (b"made", b"lied"):
        if os.path.isdir(each): os.rmdir(each)
over.append(1); thread.join()
"""

    run(container, code)

    events = await seen(recorder, container, tmp_path, 2)
    assert {path.rpartition("/")[2] for _, path, _, _ in events} <= {"made", "lied"}

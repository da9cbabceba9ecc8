# SPDX-License-Identifier: Apache-2.0
"""What containers make, cut, mount and change their root to, and calls of 32-bit programs."""

import os

import pytest
from tests.kernel.test_files import run, seen

from habitus_old_calls import built

pytestmark = pytest.mark.kernel

SENSORS = ["process", "file"]
CALLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    held = [a.encode() if isinstance(a, str) else a for a in arguments]
    result = libc.syscall(number, *held)
    assert result >= 0, (number, ctypes.get_errno())
    return result
call(165, 0, "/", 0, 0x44000, 0)  # private, with all below
os.chdir({here!r})
"""


@pytest.fixture
async def watched(collect, new_container):
    return await collect(sensors=SENSORS), new_container()


async def test_folders_pipes_and_devices_are_made(watched, tmp_path):
    recorder, container = watched
    here = str(tmp_path)

    run(
        container,
        f"import os; os.chdir({here!r}); os.mkdir('d'); d = os.open('d', os.O_PATH); os.mkdir('e', dir_fd=d);"
        "os.mkfifo('p'); os.mknod('null', 0o20600, os.makedev(1, 3)); os.mknod('f', dir_fd=d)",
    )

    assert await seen(recorder, container, here, 5) == [
        ("create", f"{here}/d", None, ["directory"]),
        ("create", f"{here}/d/e", None, ["directory"]),
        ("create", f"{here}/p", None, []),
        ("create", f"{here}/null", None, ["device"]),
        ("create", f"{here}/d/f", None, []),
    ]


async def test_a_file_is_cut_by_name_and_by_descriptor(watched, tmp_path):
    recorder, container = watched
    for name in "ab":
        (tmp_path / name).write_text("x" * 10)

    run(
        container,
        f"import os; os.chdir({str(tmp_path)!r}); os.truncate('a', 3);"
        "b = os.open('b', os.O_WRONLY); os.ftruncate(b, 0)",
    )

    assert await seen(recorder, container, tmp_path, 3) == [
        ("write", f"{tmp_path}/a", None, ["truncate"]),
        ("open", f"{tmp_path}/b", None, ["write"]),
        ("write", f"{tmp_path}/b", None, ["truncate"]),
    ]


async def test_mounts_are_made_and_taken_away_by_the_old_and_the_new_calls(watched, tmp_path):
    recorder, container = watched
    here = str(tmp_path)
    for name in "ab":
        (tmp_path / name).mkdir()
    code = (
        CALLS
        + """
call(165, "none", "a", "tmpfs", 0, 0)
os.close(os.open("a/x", os.O_CREAT | os.O_WRONLY))
call(166, "a", 0)
context = call(430, "tmpfs", 0)
call(431, context, 6, 0, 0, 0)
call(429, call(432, context, 0, 0), "", -100, "b", 4)
os.close(os.open("b/y", os.O_CREAT | os.O_WRONLY))
"""
    )

    run(container, code.format(here=here))

    assert await seen(recorder, container, here, 5) == [
        ("mount", f"{here}/a", None, []),
        ("create", f"{here}/a/x", None, ["write"]),
        ("mount", f"{here}/a", None, ["unmount"]),
        ("mount", f"{here}/b", None, []),
        ("create", f"{here}/b/y", None, ["write"]),
    ]


async def test_a_changed_root_is_told_and_paths_are_those_of_the_new_one(watched, tmp_path):
    recorder, container = watched
    here = str(tmp_path)
    (tmp_path / "new" / "old").mkdir(parents=True)
    (tmp_path / "new" / "x").write_text("x")
    code = (
        CALLS
        + """
call(165, "new", "new", 0, 4096, 0)
call(155, "new", "new/old")
os.chdir("/")
os.close(os.open("/x", 0))
os.close(os.open("/old/etc/passwd", 0))
"""
    )

    run(container, code.format(here=here))

    events = await seen(recorder, container, "", 5)
    pivot = next(at for at, event in enumerate(events) if "pivot" in (event[3] or ()))
    assert [(op, path, flags) for op, path, _, flags in events[pivot:]] == [
        ("mount", f"/old{here}/new", ["pivot"]),
        ("open", "/x", ["read"]),
        ("open", "/old/etc/passwd", ["read"]),
    ]


async def test_files_of_an_overlay_have_the_path_of_the_overlay(watched, tmp_path):
    recorder, container = watched
    here = str(tmp_path)
    # An overlay needs a file system below that is none itself.
    code = (
        CALLS
        + """
os.mkdir("base"); call(165, "none", "base", "tmpfs", 0, 0)
for name in ("low", "up", "work", "all"): os.mkdir("base/" + name)
open("base/low/x", "w").close()
options = "lowerdir=base/low,upperdir=base/up,workdir=base/work"
call(165, "overlay", "base/all", "overlay", 0, options)
os.close(os.open("base/all/x", os.O_WRONLY))
os.rename("base/all/x", "base/all/y")
os.close(os.open("base/all/y", 0))
"""
    )

    run(container, code.format(here=here))

    assert (await seen(recorder, container, f"{here}/base/all", 4))[-3:] == [
        ("open", f"{here}/base/all/x", None, ["write"]),
        ("rename", f"{here}/base/all/x", f"{here}/base/all/y", []),
        ("open", f"{here}/base/all/y", None, ["read"]),
    ]


async def test_a_nameless_file_is_shown_as_one_until_it_is_linked(watched, tmp_path):
    recorder, container = watched
    here = str(tmp_path)
    code = (
        CALLS
        + """
fd = os.open(".", 0o20000000 | os.O_DIRECTORY | os.O_RDWR, 0o600)
call(265, -100, f"/proc/self/fd/{{fd}}", -100, "named", 0x400)
os.close(os.open("named", 0))
"""
    )

    run(container, code.format(here=here))

    first, link, last = await seen(recorder, container, here, 3)
    assert first[0] == "create"
    assert first[1].startswith(f"{here}/#")
    assert first[1].endswith(" (deleted)")
    assert (link[0], link[2]) == ("link", f"{here}/named")
    assert last == ("open", f"{here}/named", None, ["read"])


async def test_a_hard_link_is_opened_under_its_own_name(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "a").write_text("x")
    (tmp_path / "d").mkdir()
    os.link(tmp_path / "a", tmp_path / "d" / "b")

    run(container, f"open({str(tmp_path / 'a')!r}); open({str(tmp_path / 'd' / 'b')!r})")

    assert await seen(recorder, container, tmp_path, 2) == [
        ("open", f"{tmp_path}/a", None, ["read"]),
        ("open", f"{tmp_path}/d/b", None, ["read"]),
    ]


async def test_proc_and_sys_are_seen_as_the_container_sees_them(watched, tmp_path):
    recorder, container = watched
    code = """
import os
for name in ("self/environ", "self/mem", "1/status", "kallsyms", "sys/kernel/core_pattern"):
    os.close(os.open(f"/proc/{name}", os.O_RDONLY))
os.close(os.open("/sys/kernel/mm/transparent_hugepage/enabled", os.O_RDONLY))
"""

    run(container, code)

    opened = {path for _, path, _, _ in await seen(recorder, container, "", 6)}
    process = next(path.split("/")[2] for path in opened if path.endswith("/environ"))
    assert process.isdigit()
    assert {
        f"/proc/{process}/environ",
        f"/proc/{process}/mem",
        "/proc/1/status",
        "/proc/kallsyms",
        "/proc/sys/kernel/core_pattern",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    } <= opened


async def test_what_moves_elsewhere_makes_no_repeat_news(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    here = str(tmp_path)

    run(
        container,
        f"import os; os.chdir({here!r})\n"
        "for _ in range(50): os.close(os.open('a', 0)); os.rename('b', 'c'); os.rename('c', 'b')",
    )

    assert await seen(recorder, container, tmp_path, 3) == [
        ("open", f"{here}/a", None, ["read"]),
        ("rename", f"{here}/b", f"{here}/c", []),
        ("rename", f"{here}/c", f"{here}/b", []),
    ]


OLD_CALLS = """
    static char old[] = "old", new[] = "new", folder[] = "folder", soft[] = "soft";

    failed |= call(5, old, 0101, 0600) < 0;                 /* open */
    failed |= call(38, old, (long)new, 0) < 0;              /* rename */
    failed |= call(15, new, 0755, 0) < 0;                   /* chmod */
    failed |= call(182, new, 0xffff, 0) < 0;                /* chown, 16 bits */
    failed |= call(39, folder, 0700, 0) < 0;                /* mkdir */
    failed |= call(83, new, (long)soft, 0) < 0;             /* symlink */
    failed |= call(295, (void *)-100, (long)new, 2) < 0;    /* openat */
    failed |= call(10, new, 0, 0) < 0;                      /* unlink */
    failed |= call(40, folder, 0, 0) < 0;                   /* rmdir */
"""


async def test_calls_of_32_bits_are_seen(watched, tmp_path, tmp_path_factory):
    recorder, container = watched
    here = str(tmp_path)
    program = built(tmp_path_factory.mktemp("old"), OLD_CALLS)

    _, status = container.run([bytes(program)], before=lambda: os.chdir(here))

    assert status == 0
    assert await seen(recorder, container, here, 9) == [
        ("create", f"{here}/old", None, ["write"]),
        ("rename", f"{here}/old", f"{here}/new", []),
        ("chmod", f"{here}/new", None, ["mode"]),
        ("chmod", f"{here}/new", None, ["owner"]),
        ("create", f"{here}/folder", None, ["directory"]),
        ("link", "new", f"{here}/soft", ["symbolic"]),
        ("open", f"{here}/new", None, ["read", "write"]),
        ("unlink", f"{here}/new", None, []),
        ("unlink", f"{here}/folder", None, ["directory"]),
    ]
    (owner,) = [e.file.owner for e in recorder.events if e.file and e.file.owner]
    assert owner == "-:0"

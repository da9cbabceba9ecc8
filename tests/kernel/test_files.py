# SPDX-License-Identifier: Apache-2.0
"""What the file sensor shows of containers, and what it must not show."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from habitus_collector import file_records

pytestmark = pytest.mark.kernel

SENSORS = ["process", "file"]


def run(container, code, **options):
    """Run Python inside the container, and the code alone: without `site`, which opens files."""
    _, status = container.run([os.path.realpath(sys.executable).encode(), b"-ISc", code.encode()], **options)
    assert status == 0


async def seen(recorder, container, under, count=1):
    """Return (op, path, new path, flags) of a container's file events below a folder, in order."""

    def own():
        events = [event for event in recorder.events if event.container.id == container.id]
        found = [(event.op, event.file) for event in events if event.class_ == "file"]
        return [
            (op, file.path, file.new_path, file.flags)
            for op, file in found
            if str(under) in f"{file.path} {file.new_path}"
        ]

    deadline = time.monotonic() + 20  # emulated machines are slow
    while len(own()) < count:
        assert time.monotonic() < deadline, f"of {count} events came {own()}"
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    return own()


@pytest.fixture
async def watched(collect, new_container):
    return await collect(sensors=SENSORS), new_container()


async def test_an_open_tells_what_for_and_a_new_file_is_a_create(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "old").write_text("x")

    run(
        container,
        f"import os; os.chdir({str(tmp_path)!r});"
        "[open(name, mode) for name, mode in [('old', 'r'), ('new', 'w'), ('new', 'a'), ('new', 'r+'),"
        "('new', 'w')]]; os.open('.', 0)",
    )

    assert await seen(recorder, container, tmp_path, 6) == [
        ("open", f"{tmp_path}/old", None, ["read"]),
        ("create", f"{tmp_path}/new", None, ["write", "truncate"]),
        ("open", f"{tmp_path}/new", None, ["write", "append"]),
        ("open", f"{tmp_path}/new", None, ["read", "write"]),
        ("open", f"{tmp_path}/new", None, ["write", "truncate"]),
        ("open", str(tmp_path), None, ["read", "directory"]),
    ]


async def test_the_process_is_named_with_its_parent(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "x").write_text("x")

    container.run([b"/bin/bash", b"-c", f"/bin/cat {tmp_path}/x; exit 0".encode()])

    await seen(recorder, container, tmp_path)
    read = [event for event in recorder.events if event.file and event.file.path == f"{tmp_path}/x"]
    assert [event.op for event in read] == ["open", "read"]
    event = read[0]
    assert (event.process.name, event.process.parent, event.process.uid) == ("cat", "bash", 0)
    assert event.process.pid != event.process.ppid != 0
    assert event.container.image == f"unresolved:{container.id[:12]}"


async def test_openat2_and_creat_are_opens(watched, tmp_path):
    recorder, container = watched
    code = f"""
import ctypes
call = ctypes.CDLL(None).syscall
how = (ctypes.c_uint64 * 3)(0o1101, 0o600, 0)
assert call(437, -100, {str(tmp_path / "two").encode()!r}, how, 24) >= 0
assert call(85, {str(tmp_path / "old").encode()!r}, 0o600) >= 0
"""

    run(container, code)

    assert await seen(recorder, container, tmp_path, 2) == [
        ("create", f"{tmp_path}/two", None, ["write", "truncate"]),
        ("create", f"{tmp_path}/old", None, ["write", "truncate"]),
    ]


async def test_names_are_changed_removed_and_linked(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "a").write_text("x")
    (tmp_path / "d").mkdir()

    run(
        container,
        f"import os; os.chdir({str(tmp_path)!r}); d = os.open('d', os.O_RDONLY | os.O_PATH);"
        "os.rename('a', './d/../b'); os.rename('b', 'c', dst_dir_fd=d); os.link('d/c', 'hard');"
        "os.symlink('../etc/shadow', 'soft'); os.unlink('c', dir_fd=d); os.rmdir('d')",
    )

    here = str(tmp_path)
    assert await seen(recorder, container, tmp_path, 6) == [
        ("rename", f"{here}/a", f"{here}/b", []),
        ("rename", f"{here}/b", f"{here}/d/c", []),
        ("link", f"{here}/d/c", f"{here}/hard", []),
        ("link", "../etc/shadow", f"{here}/soft", ["symbolic"]),
        ("unlink", f"{here}/d/c", None, []),
        ("unlink", f"{here}/d", None, ["directory"]),
    ]


async def test_rights_and_owners_are_changed(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "a").write_text("x")

    run(
        container,
        f"import os; os.chdir({str(tmp_path)!r}); a = os.open('a', os.O_RDONLY);"
        "os.chmod('a', 0o4755); os.fchown(a, 1, -1); os.chown('./a', 0, 0)",
    )

    _, *changes = await seen(recorder, container, tmp_path, 4)
    path = f"{tmp_path}/a"
    told = [event.file for event in recorder.events if event.file and event.op == "chmod"]
    assert [(file.mode, file.owner) for file in told] == [("4755", None), (None, "1:-"), (None, "0:0")]
    assert changes == [
        ("chmod", path, None, ["mode"]),
        ("chmod", path, None, ["owner"]),
        ("chmod", path, None, ["owner"]),
    ]


async def test_a_path_is_as_the_container_sees_it_across_a_bind_mount(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "real" / "below" / "x").write_text("x")
    (tmp_path / "shown").mkdir()
    here = str(tmp_path)
    code = f"""
import ctypes
mount = ctypes.CDLL(None).mount
assert mount(None, b"/", None, 0x44000, None) == 0
assert mount({f"{here}/real".encode()!r}, {f"{here}/shown".encode()!r}, None, 4096, None) == 0
open({f"{here}/shown/below/x"!r})
"""

    run(container, code)

    assert await seen(recorder, container, tmp_path, 2) == [
        ("mount", f"{here}/shown", None, ["bind"]),
        ("open", f"{here}/shown/below/x", None, ["read"]),
    ]


async def test_an_open_through_symbolic_links_names_the_file_itself(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("x")
    (tmp_path / "link").symlink_to("real")

    run(container, f"open({str(tmp_path / 'link' / 'x')!r})")

    assert await seen(recorder, container, tmp_path) == [("open", f"{tmp_path}/real/x", None, ["read"])]


async def test_a_name_that_was_given_is_no_more_than_that_by_sys_exit(collect, new_container, tmp_path):
    recorder, container = await collect(sensors=SENSORS, file_rung="sys_exit"), new_container()
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("x")
    (tmp_path / "link").symlink_to("real")

    run(container, f"import os; os.unlink({str(tmp_path / 'link' / 'x')!r})")

    assert await seen(recorder, container, tmp_path) == [("unlink", f"{tmp_path}/link/x", None, [])]


async def test_a_chroot_hides_no_file(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "x").write_text("x")

    run(container, f"import os; os.chroot({str(tmp_path)!r}); open('/x'); os.unlink('/x')")

    assert await seen(recorder, container, tmp_path, 3) == [
        ("mount", str(tmp_path), None, ["chroot"]),
        ("open", f"{tmp_path}/x", None, ["read"]),
        ("unlink", f"{tmp_path}/x", None, []),
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"a\nb", "a\nb"), (b"\x1b[2J", "\x1b[2J"), (b"\xff\xfe", "\\xff\\xfe"), ("名".encode(), "名")],
)
async def test_hostile_names_arrive_whole(watched, tmp_path, name, shown):
    recorder, container = watched

    path = bytes(tmp_path) + b"/" + name
    run(container, f"import os; os.close(os.open({path!r}, 0o101)); os.unlink({path!r})")

    assert await seen(recorder, container, tmp_path, 2) == [
        ("create", f"{tmp_path}/{shown}", None, ["write"]),
        ("unlink", f"{tmp_path}/{shown}", None, []),
    ]


async def test_a_deep_path_is_cut_above_and_says_so(watched, tmp_path):
    recorder, container = watched
    deep = tmp_path.joinpath(*["d"] * 70)
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")

    run(container, f"open({str(deep / 'x')!r})")

    ((op, path, _, _),) = await seen(recorder, container, "/d/d/x")
    assert op == "open"
    assert path.startswith("…/d/d/")


async def test_memory_and_processes_are_named_as_such(watched, tmp_path):
    recorder, container = watched
    code = "import os; m = os.memfd_create('kthreadd'); os.open(f'/proc/self/fd/{m}', os.O_RDONLY);"

    run(container, code + "open('/proc/self/status'); print(os.getpid())")

    assert await seen(recorder, container, "memfd") == [("open", "memfd:kthreadd (deleted)", None, ["read"])]
    ((_, path, _, _),) = await seen(recorder, container, "/status")
    assert path.startswith("/proc/")
    assert path.split("/")[2].isdigit()


async def test_what_failed_and_what_only_names_a_file_is_no_event(watched, tmp_path):
    recorder, container = watched
    code = f"""
import os
try: open({str(tmp_path / "absent")!r})
except FileNotFoundError: pass
os.open({str(tmp_path)!r}, os.O_PATH)
open({str(tmp_path / "end")!r}, "w")
"""

    run(container, code)

    assert [path for _, path, _, _ in await seen(recorder, container, tmp_path)] == [f"{tmp_path}/end"]


async def test_the_same_within_a_second_comes_once_and_is_counted(watched, tmp_path):
    recorder, container = watched
    records = []
    readers = recorder.loader._readers
    reader = readers[file_records.KIND]

    def noted(head, raw, clock, node):
        records.append(file_records.read(head, raw))
        return reader(head, raw, clock, node)

    readers[file_records.KIND] = noted
    (tmp_path / "a").write_text("x")
    code = f"""
import os, time
os.chdir({str(tmp_path)!r})
for _ in range(50): open("a").close(); os.chmod("a", 0o600)
time.sleep(1.1)
open("a").close()
open("a", "r+").close()
"""

    run(container, code)

    events = await seen(recorder, container, tmp_path, 4)
    assert [(op, flags) for op, _, _, flags in events] == [
        ("open", ["read"]),
        ("chmod", ["mode"]),
        ("open", ["read"]),
        ("open", ["read", "write"]),
    ]
    assert [record.repeats for record in records if record.path == f"{tmp_path}/a"] == [0, 0, 49, 0]


async def test_others_are_no_events(watched, tmp_path):
    recorder, container = watched

    await asyncio.to_thread(subprocess.run, ["/bin/touch", f"{tmp_path}/host"], check=True)
    run(container, f"open({str(tmp_path / 'runtime')!r}, 'w')", own_mounts=False)
    run(container, f"open({str(tmp_path / 'own')!r}, 'w')")

    await seen(recorder, container, tmp_path)
    paths = [event.file.path for event in recorder.events if event.file]
    assert [path for path in paths if str(tmp_path) in path] == [f"{tmp_path}/own"]


async def test_what_the_ring_cannot_take_is_counted_for_files(watched, tmp_path):
    recorder, container = watched
    long = "n" * 250
    code = f"""
import os
d = {str(tmp_path)!r}
for i in range(12): d += "/" + {long!r}; os.mkdir(d)
os.chdir(d)
for i in range(3000): os.close(os.open(str(i), 0o101))
"""

    run(container, code)  # about 3 kB each, while this test keeps the loop from reading 4 MB

    events = await seen(recorder, container, long, 500)
    created = [path for op, path, _, _ in events if op == "create"]
    assert len(created) + recorder.loader.status().lost["file"] >= 3000
    assert len(created) < 3000


async def test_by_default_no_program_of_files_is_loaded(collect):
    recorder = await collect()

    assert recorder.loader.status().hooks == ["on_exec", "on_fork", "on_exit", "on_free"]

# SPDX-License-Identifier: Apache-2.0
"""Known file events stay in the kernel, and nothing else does: the verdict cache of the file sensor.

What a test calls known it puts into the kernel's maps itself, as the collector does with a profiler's
verdicts.
"""

import asyncio
import subprocess

import pytest

from habitus_known import PROFILE

pytestmark = pytest.mark.kernel


async def test_a_known_open_stays_in_the_kernel_until_the_revision_changes(known, tmp_path):
    (tmp_path / "a").write_text("x")
    code = f"for _ in range(5): open({str(tmp_path / 'a')!r}).close()"

    learned = await known.learn(code, tmp_path)
    passed = known.sensors.passed().get("file", 0)
    first, second = await known.did(code, ""), await known.did(code, "")
    counted = known.sensors.passed()["file"] - passed
    known.sensors.revise(PROFILE, next(known.generations))

    assert learned == [("open", f"{tmp_path}/a", None, ["read"])]
    assert (first, second) == ([], [])
    assert counted >= 10
    assert await known.did(code, tmp_path) == learned


async def test_nothing_is_known_without_a_revision(known, tmp_path):
    (tmp_path / "a").write_text("x")
    code = f"open({str(tmp_path / 'a')!r}).close()"

    learned = await known.learn(code, tmp_path)
    assert await known.did(code, tmp_path) == []
    known.sensors.revise(PROFILE, 0)

    assert await known.did(code, tmp_path) == learned


@pytest.mark.parametrize("by", ["container", "host"])
async def test_a_known_file_under_another_path_is_sent(known, tmp_path, by):
    (tmp_path / "a" / "d").mkdir(parents=True)
    (tmp_path / "a" / "d" / "x").write_text("x")
    here = str(tmp_path)
    code = "fd = __import__('os').open({!r}, 0)"
    await known.learn(code.format(f"{here}/a/d/x"), here)
    assert await known.did(code.format(f"{here}/a/d/x"), here) == []

    if by == "container":
        await known.did(f"import os; os.rename({here + '/a'!r}, {here + '/b'!r})", here)
    else:
        await asyncio.to_thread(subprocess.run, ["/bin/mv", f"{here}/a", f"{here}/b"], check=True)

    assert await known.did(code.format(f"{here}/b/d/x"), here) == [
        ("open", f"{here}/b/d/x", None, ["read"]),
    ]


async def test_a_rename_holds_back_nothing_in_the_same_process(known, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("x")
    here = str(tmp_path)
    code = f"""
import os
os.chdir({here!r})
for i in range(3): os.close(os.open("a/x", 0))
os.rename("a", "b")
for i in range(3): os.close(os.open("b/x", 0))
os.rename("b", "a")
for i in range(3): os.close(os.open("a/x", 0))
"""
    await known.learn(f"import os; os.close(os.open({here + '/a/x'!r}, 0))", here)

    assert await known.did(code, here) == [
        ("rename", f"{here}/a", f"{here}/b", []),
        ("open", f"{here}/b/x", None, ["read"]),
        ("rename", f"{here}/b", f"{here}/a", []),
    ]


async def test_a_folder_made_anew_elsewhere_is_another(known, tmp_path):
    here = str(tmp_path)
    for name in "pq":
        (tmp_path / name).mkdir()
    turn = """
import os
os.chdir({!r})
for i in range(200):
    os.mkdir("d"); os.close(os.open("d/x", os.O_CREAT | os.O_WRONLY)); os.close(os.open("d/x", 0))
    os.unlink("d/x"); os.rmdir("d")
"""
    await known.learn(turn.format(f"{here}/p"), here)
    assert await known.did(turn.format(f"{here}/p"), here) == []

    sent = await known.did(turn.format(f"{here}/q"), here)

    assert {(op, path) for op, path, _, _ in sent} == {
        ("create", f"{here}/q/d"),
        ("create", f"{here}/q/d/x"),
        ("open", f"{here}/q/d/x"),
        ("unlink", f"{here}/q/d/x"),
        ("unlink", f"{here}/q/d"),
    }


MOUNTS = """
import ctypes, os
mount = ctypes.CDLL(None, use_errno=True).mount
def call(source, target, flags):
    at = lambda path: path.encode() if path else None
    assert mount(at(source), at(target), None, flags, None) == 0, ctypes.get_errno()
call(None, "/", 0x44000)  # private, with all below
os.chdir({here!r})
call("real", "real", 4096)
call(None, "real", 0x40000)
call("real/d", "one", 4096)
os.close(os.open("one/x", 0))
"""


async def test_a_mount_that_moves_takes_its_files_to_another_path(known, tmp_path):
    for name in ("real/d", "one", "two"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "real" / "d" / "x").write_text("x")
    here = str(tmp_path)
    code = MOUNTS.format(here=here)

    learned = await known.learn(code, here)
    again = await known.did(code, here)
    moved = await known.did(code + 'call("one", "two", 8192)\nos.close(os.open("two/x", 0))', here)

    assert ("open", f"{here}/one/x", None, ["read"]) in learned
    assert again == []
    assert moved == [
        ("mount", f"{here}/two", None, ["move"]),
        ("open", f"{here}/two/x", None, ["read"]),
    ]


async def test_another_name_flag_or_mode_is_another_event(known, tmp_path):
    (tmp_path / "a").write_text("x")
    here = f"{tmp_path}/a"
    await known.learn(f"import os; open({here!r}); os.chmod({here!r}, 0o600)", tmp_path)

    assert await known.did(f"import os; open({here!r}); os.chmod({here!r}, 0o600)", tmp_path) == []
    assert await known.did(f"open({here!r}, 'r+')", tmp_path) == [("open", here, None, ["read", "write"])]
    sent = await known.did(f"import os; os.chmod({here!r}, 0o4755)", tmp_path)
    assert sent == [("chmod", here, None, ["mode"])]
    renamed = f"open('/proc/self/comm', 'w').write('other'); open({here!r})"
    assert await known.did(renamed, tmp_path) == [("open", here, None, ["read"])]


async def test_known_names_are_held_back_and_others_are_not(known, tmp_path):
    here = str(tmp_path)
    code = f"""
import os
os.chdir({here!r})
open("a", "w").close(); os.rename("a", "b"); os.symlink("b", "l"); os.link("b", "h"); os.unlink("l")
os.unlink("b"); os.rename("h", "a"); os.unlink("./a")
"""

    learned = await known.learn(code, here)

    assert len(learned) == 8
    assert await known.did(code, here) == []
    other = code.replace('os.symlink("b", "l")', 'os.symlink("/etc/shadow", "l")')
    assert await known.did(other, here) == [("link", "/etc/shadow", f"{here}/l", ["symbolic"])]


async def test_a_path_that_is_cut_or_very_long_is_never_known(known, tmp_path):
    deep = tmp_path.joinpath(*["d"] * 70)
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")
    long = tmp_path.joinpath(*["n" * 200] * 6)
    long.mkdir(parents=True)
    (long / "y").write_text("x")
    code = f"open({str(deep / 'x')!r}); open({str(long / 'y')!r})"

    learned = await known.learn(code, "")
    await asyncio.sleep(1.1)  # the same is sent once a second
    again = await known.did(code, "")

    ours = [did for did in learned if did[1].endswith(("/d/x", "/y"))]
    assert len(ours) == 2
    assert [did for did in again if did[1].endswith(("/d/x", "/y"))] == ours
    assert [
        event.token for event in known.recorder.events if event.file and event.file.path.endswith("/y")
    ] == [
        b"",
        b"",
    ]


async def test_the_same_file_through_another_mount_is_sent(known, tmp_path):
    for name in ("real/d", "one", "two"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "real" / "d" / "x").write_text("x")
    here = str(tmp_path)
    code = MOUNTS.format(here=here)
    await known.learn(code, here)

    other = code.replace('"one"', '"two"').replace('"one/x"', '"two/x"')

    assert await known.did(other, here) == [
        ("mount", f"{here}/two", None, ["bind"]),
        ("open", f"{here}/two/x", None, ["read"]),
    ]

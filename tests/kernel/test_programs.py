# SPDX-License-Identifier: Apache-2.0
"""What an exec tells beside the command line: where the program lives, and with what it was started."""

import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

TRUE = Path(os.path.realpath("/bin/true"))
ALL_ENV = 16384  # ENV_BYTES of bpf/lib/environment.h
NOBODY = 65534


def copied(to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(TRUE.read_bytes())
    to.chmod(0o755)
    return to


@pytest.fixture
def overlay(tmp_path) -> Iterator[Path]:
    """An image of one layer with /bin/true in it, mounted as a container's root filesystem is."""
    copied(tmp_path / "lower/bin/true")
    for name in ("upper", "work", "root"):
        (tmp_path / name).mkdir()
    layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", layers, "none", tmp_path / "root"], check=True)
    yield tmp_path / "root"
    subprocess.run(["umount", tmp_path / "root"], check=True)


async def run_one(recorder, container, exe, **how):
    container.run([b"x"], exe=exe if isinstance(exe, int) else str(exe), **how)
    return (await recorder.of(container, "exec"))[-1].process


async def test_a_program_of_the_image_is_told_from_one_that_was_written_later(
    collect, new_container, overlay
):
    recorder = await collect()
    copied(overlay / "tmp/dropped")

    of_image = await run_one(recorder, new_container(), overlay / "bin/true")
    dropped = await run_one(recorder, new_container(), overlay / "tmp/dropped")
    os.utime(overlay / "bin/true")  # copies it up: from now on the container's own
    changed = await run_one(recorder, new_container(), overlay / "bin/true")

    assert (of_image.exe_class, dropped.exe_class, changed.exe_class) == ("image", "writable", "writable")
    assert dropped.exe == f"{overlay}/tmp/dropped"


async def test_a_program_on_a_tmpfs_is_writable(collect, new_container):
    recorder = await collect()
    binary = copied(Path(f"/dev/shm/habitus-test-{os.getpid()}"))
    try:
        process = await run_one(recorder, new_container(), binary)
    finally:
        binary.unlink()

    assert (process.exe, process.exe_class) == (str(binary), "writable")


@pytest.fixture
def volume(tmp_path) -> Iterator[Path]:
    folder = tmp_path / "volume"
    folder.mkdir()
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_program_on_a_volume_is_writable(collect, new_container, volume):
    process = await run_one(await collect(), new_container(), copied(volume / "true"))

    assert process.exe_class == "writable"


async def test_a_program_in_memory_is_of_its_own_class(collect, new_container):
    recorder = await collect()
    memory = os.memfd_create("x", 0)
    os.write(memory, TRUE.read_bytes())

    process = await run_one(recorder, new_container(), memory)
    os.close(memory)

    assert (process.exe, process.exe_class) == ("memfd:x (deleted)", "memory")


async def test_a_root_filesystem_without_layers_tells_nothing(collect, new_container):
    process = await run_one(await collect(), new_container(), TRUE)

    assert process.exe_class == ("image" if os.statvfs("/").f_flag & os.ST_RDONLY else None)


async def test_capabilities_are_the_effective_ones(collect, new_container):
    recorder = await collect()
    (own,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line]

    root = await run_one(recorder, new_container(), TRUE)
    nobody = await run_one(recorder, new_container(), TRUE, before=lambda: os.setuid(NOBODY))

    assert root.capabilities == own.split()[1]
    assert (nobody.uid, nobody.capabilities) == (NOBODY, "0" * 16)


async def test_the_terminal_is_named(collect, new_container):
    recorder = await collect()
    ours, theirs = pty.openpty()

    def control() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    at_terminal = await run_one(recorder, new_container(), TRUE, before=control)
    without = await run_one(recorder, new_container(), TRUE, before=os.setsid)

    assert at_terminal.tty == os.ttyname(theirs).removeprefix("/dev/")
    assert without.tty is None
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("env", "preload"),
    [
        ({}, None),
        ({b"LD_PRELOAD": b"/tmp/\xffevil.so"}, "/tmp/\\xffevil.so"),
        ({b"A": b"b" * 4001, b"LD_PRELOAD": b"/x.so", b"Z": b"z"}, "/x.so"),
        ({b"A": b"b" * (ALL_ENV - 3 - len("LD_PRELOAD=/x.so")), b"LD_PRELOAD": b"/x.so"}, "/x.so"),
        ({b"A": b"b" * ALL_ENV, b"LD_PRELOAD": b"/x.so"}, None),
        ({b"NOT_LD_PRELOAD": b"/x.so", b"LD_PRELOADED": b"/y.so", b"A": b"LD_PRELOAD=/z.so"}, None),
        ({b"LD_PRELOAD": b""}, ""),
        ({b"LD_PRELOAD": b"/" + b"p" * 600}, "/" + "p" * 510 + "…"),
    ],
)
async def test_a_preload_is_told(collect, new_container, env, preload):
    process = await run_one(await collect(), new_container(), TRUE, env=env)

    assert process.preload == preload
    assert process.truncated == (preload or "").endswith("…")

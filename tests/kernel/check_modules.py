# SPDX-License-Identifier: Apache-2.0
"""Kernel modules that a container loads and removes, on both rungs of the file sensor.

Named so that only `make test-vm` runs it: it changes the kernel that it runs on.
"""

import lzma
import os
import subprocess
from pathlib import Path

import pytest
from tests.kernel.test_files import run

from habitus_collector import rungs

pytestmark = pytest.mark.kernel

NAME = "nls_cp737"
"""A table of characters: a module of all of Debian's kernels, which needs no other and drives nothing."""
WORK = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    return -ctypes.get_errno() if result < 0 else result
module = os.open({path!r}, os.O_RDONLY)
content = os.read(module, 1 << 24)
assert call(313, module, b"", 0) == 0, "finit_module"
assert call(313, module, b"", 0) == -17, "it is there already"
assert call(176, {name!r}, 0) == 0, "delete_module"
assert call(176, {name!r}, 0) == -2, "it is gone already"
assert call(175, content, ctypes.c_ulong(len(content)), b"") == 0, "init_module"
"""


@pytest.fixture
def module(tmp_path):
    """The module as the kernel takes it: unpacked."""
    (packed,) = Path(f"/lib/modules/{os.uname().release}/kernel").rglob(f"{NAME}.ko*")
    content = packed.read_bytes()
    path = tmp_path / f"{NAME}.ko"
    path.write_bytes(lzma.decompress(content) if packed.suffix == ".xz" else content)
    yield path
    subprocess.run(["rmmod", NAME], check=True)


@pytest.mark.parametrize("rung", [rungs.FENTRY, rungs.SYS_EXIT])
async def test_a_module_is_told_when_it_comes_and_when_it_goes(collect, new_container, module, rung):
    recorder, container = await collect(sensors=["process", "file"], file_rung=rung), new_container()

    run(container, WORK.format(path=str(module), name=NAME.encode()))

    loads = [event.file for event in await recorder.of(container, "load", 3)]
    assert [(Path(file.path).name, "unload" in file.flags) for file in loads] == [
        (f"{NAME}.ko", False),
        (NAME, True),
        ("memory", False),
    ]
    assert loads[0].path == str(module)

# SPDX-License-Identifier: Apache-2.0
"""What a test that fails in the middle leaves behind: nothing."""

from pathlib import Path

import pytest

from habitus_engines import dockerd, need, podman
from habitus_tidy import engine_folder

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

FOREVER = ["/bin/busybox", "sleep", "1000"]


def begin(engine, archives) -> int:
    engine.start()
    engine.load(archives[1])
    return engine.pid(engine.run("webapp:v1", FOREVER, name="left"))


def left_of(folder: Path, pid: int) -> list[str]:
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]
    state = Path(f"/proc/{pid}/stat")
    ended = not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return mounts + ([] if ended else [str(pid)]) + ([str(folder)] if folder.exists() else [])


def test_podman_and_its_containers_end_with_their_folder(archives):
    need("podman", "conmon", "runc")
    with engine_folder() as folder:
        engine = podman(folder)
        pid = begin(engine, archives)
    engine.forget()

    assert left_of(folder, pid) == []


async def test_docker_and_its_containers_end_with_their_folder(containerd, archives):
    need("dockerd")
    with engine_folder() as folder:
        engine = dockerd(folder, containerd.socket)
        pid = begin(engine, archives)
    engine.forget()

    assert left_of(folder, pid) == []

# SPDX-License-Identifier: Apache-2.0
"""Processor time where cgroup v1 alone counts it: of a container that lies elsewhere there than in v2."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from habitus_collector.cpu_usage import ProcessorTime
from habitus_testing import until

pytestmark = pytest.mark.kernel

WORK = b"i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exec /bin/sleep 300"


@pytest.fixture
def group(tmp_path) -> Iterator[Path]:
    """A group of the tree of v1 that counts processor time."""
    tree = tmp_path / "cpuacct"
    tree.mkdir()
    mount = ["mount", "-t", "cgroup", "-o", "cpuacct", "none", tree]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine counts processor time by cgroup v2 alone: {done.stderr.strip()}")
    made = tree / f"habitus-test-{os.getpid()}"
    made.mkdir()
    yield made
    until(lambda: not (made / "cgroup.procs").read_text())
    made.rmdir()
    subprocess.run(["umount", tree], check=True)


def test_what_v1_counts_of_a_containers_processes_is_read(group, new_container, tmp_path):
    container = new_container()
    enter = group / "cgroup.procs"
    container.run([b"/bin/sh", b"-c", WORK], before=lambda: enter.write_text("0"), wait=False)
    until(lambda: container.names() == ["sleep"])
    # As v2 looks where it counts nothing: the processes are there, and no cpu.stat is.
    without = tmp_path / "tree" / container.id
    without.mkdir(parents=True)
    (without / "cgroup.procs").symlink_to(container.folder / "cgroup.procs")

    used = ProcessorTime(without.parent).of(container.id)
    counted = int((group / "cpuacct.usage").read_text()) / 1e9
    container.kill()

    assert used is not None
    assert 0 < used <= counted

# SPDX-License-Identifier: Apache-2.0
"""What a killed run of tests or of the demo leaves is cleared by the next; what a running one uses is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from habitus_console.demo import own_pods

pytestmark = pytest.mark.kernel

MAKE = """\
import os, pathlib
from habitus_cgroups import FakeContainer
made = FakeContainer(pathlib.Path({tree!r}))
below = made.folder / "below"
below.mkdir()
for group in (made.folder, below):
    made.run([b"/bin/sleep", b"300"], cgroup=group, before=lambda: os.close(1), wait=False)
    while not (group / "cgroup.procs").read_text():
        pass
print(made.folder, flush=True)
os._exit(0)
"""


def test_pods_of_a_maker_that_is_gone_end_and_those_of_a_living_one_stay(new_container):
    kept = new_container()
    kept.run([b"/bin/sleep", b"300"], wait=False)
    tree = kept.folder.parents[3]
    environment = {"PYTHONPATH": str(Path(__file__).parents[1] / "support")}
    said = subprocess.check_output(
        [sys.executable, "-c", MAKE.format(tree=str(tree))], env=environment, text=True
    )
    left = Path(said.strip())
    assert left.is_dir()

    assert own_pods.clear_leftovers() == []

    assert not left.parent.exists()
    assert kept.folder.is_dir()
    assert (kept.folder / "cgroup.procs").read_text()

# SPDX-License-Identifier: Apache-2.0
"""A rename that is under way while others open files: what is held back as known was known by its path."""

import os

import pytest

pytestmark = pytest.mark.kernel

ROUNDS = 5_000
ROUND = """
import os, signal, time
os.chdir({here!r})
os.sched_setaffinity(0, [0])
mover = os.fork()
if not mover:  # put aside whenever the other wakes, in the middle of a rename, too
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while not mover:  # what is replaced is done away with after the new name shows, and before the call ends
    os.mkdir("b"); os.rename("a", "b"); os.mkdir("a"); os.rename("b", "a")
def by(path):
    try: os.close(os.open(path, 0))
    except FileNotFoundError: return 0
    return 1
old = new = 0
for _ in range({rounds}):
    time.sleep(0.0001)
    new += by("b/d/x"); old += by("a/d/x")
os.kill(mover, signal.SIGKILL); os.wait()
os.write({out}, f"{{old}} {{new}}".encode())
"""
QUIET = "import os, signal, time\n"


async def passed(known, code):
    """Run it in the container; return how many of its file events were held back as known."""
    before = known.sensors.passed().get("file", 0)
    await known.did(code, "")
    return known.sensors.passed().get("file", 0) - before


async def test_no_open_by_a_new_path_passes_for_one_by_the_old(known, tmp_path):
    (tmp_path / "a" / "d").mkdir(parents=True)
    (tmp_path / "a" / "d" / "x").write_text("x")
    here, (reader, writer) = str(tmp_path), os.pipe()
    os.set_inheritable(writer, True)
    await known.learn(f"{QUIET}os.close(os.open({here + '/a/d/x'!r}, 0))", here)
    of_starting = await passed(known, QUIET)

    held_back = await passed(known, ROUND.format(here=here, rounds=ROUNDS, out=writer))
    old, new = map(int, os.read(reader, 100).split())
    os.close(reader)
    os.close(writer)

    assert min(old, new) > ROUNDS / 100
    assert held_back - of_starting <= old

# SPDX-License-Identifier: Apache-2.0
"""What the bench takes for a stall of the host, from looks at the clock that are written by hand."""

import subprocess
import sys

import pytest

from habitus_stalls import StallWatch, merged, others_s, stalls


def looks(*counts: float, nap: float = 0.002):
    """Return when counts that took so long began and ended."""
    now, made = 100.0, []
    for count in counts:
        made.append((now, now + count))
        now += count + nap
    return made


def test_a_processor_that_was_not_let_run_stood_still():
    before, after = looks(*[25e-6] * 50), looks(*[25e-6] * 50)
    late = before[-1][1] + 0.1 - after[0][0]
    after = [(begun + late, ended + late) for begun, ended in after]
    assert stalls(before + after) == [(before[-1][0], after[0][0])]


def test_a_processor_at_a_fifth_of_its_speed_crawled():
    seen = looks(*[25e-6] * 50, *[125e-6] * 20, *[25e-6] * 50)
    assert stalls(seen) == [(seen[50][0], seen[59][1]), (seen[60][0], seen[69][1])]


@pytest.mark.parametrize("few", [[], [25e-6] * 3, [25e-6] * 40, [25e-6, 400e-6] * 2 + [25e-6] * 36])
def test_usual_speed_and_single_interrupts_are_no_stall(few):
    assert stalls(looks(*few)) == []


def test_stalls_of_two_processors_are_told_as_one_where_they_touch():
    watch = StallWatch()
    watch.spans = merged([(3, 4), (1, 2), (2, 2.5)])
    assert (watch.spans, watch.seconds) == ([(1, 2.5), (3, 4)], 2.5)
    assert [watch.touches(*span) for span in ((0, 1), (0, 1.1), (2.4, 2.6), (2.5, 3), (3.2, 3.3))] == [
        False, True, True, False, True,
    ]  # fmt: skip


async def test_the_watch_ends_with_its_context():
    async with StallWatch() as watch:
        pass
    assert all(begun < ended for begun, ended in watch.spans)
    assert [each.returncode for each in watch._watchers] == [0] * len(watch._watchers)


def test_what_an_orphan_used_is_laid_to_others():
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    before = others_s()
    # The pipe ends when the orphan does; the shell, its parent, has ended long before.
    subprocess.run(["sh", "-c", f"{sys.executable} -S -c '{burn}' &"], stdout=subprocess.PIPE, check=True)
    assert others_s() - before > 0.2

# SPDX-License-Identifier: Apache-2.0
"""Processor use of real containers: one that works, and one that does not."""

import sys

import pytest

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

BUSY = ["/bin/bash", "-c", "while :; do :; done"]
IDLE = ["/bin/busybox", "sleep", "1000"]


def of_cpu(event):
    return event.class_ == "cpu"


async def test_a_busy_loop_is_told_as_a_core_and_an_idle_container_as_none(containerd, collect, seen):
    collect(cri_sockets=containerd.socket, sensors="process,cpu", cpu_every_s=1)
    busy = await containerd.run("busy-0", "webapp:v1", command=BUSY)
    idle = await containerd.run("idle-0", "webapp:v1", command=IDLE)

    at_work = await seen.first(busy.container, of_cpu)
    at_rest = await seen.first(idle.container, of_cpu)

    sys.stdout.write(f"a busy loop: {at_work.usage.cores} cores over {at_work.usage.window_s} s\n")
    # Other work of this machine may take its part of the core; a loop never takes more than one.
    assert 0.2 < at_work.usage.cores < 1.1
    assert at_rest.usage.cores < 0.05
    assert at_work.usage.window_s > 0.5
    assert (at_work.container.name, at_work.container.pod.name) == ("web", "busy-0")
    assert at_work.process is None

    await seen.quiet(4)
    assert len([event for event in seen.of(idle.container) if of_cpu(event)]) == 1

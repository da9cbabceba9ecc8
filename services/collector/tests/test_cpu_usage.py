# SPDX-License-Identifier: Apache-2.0
"""Processor use: where it is read, and when a change is worth an event."""

import pytest

from habitus.events import Usage
from habitus_collector.cpu_usage import ProcessorTime
from habitus_collector.sensors.cpu import SILENT_WINDOWS, Meter

FOLDER = "docker/a1"


@pytest.fixture
def machine(tmp_path):
    """A tree of cgroup v2 and one of v1, as files."""

    class Machine:
        tree, v1, proc = tmp_path / "unified", tmp_path / "cpu acct", tmp_path / "proc"

        def write(self, path, text):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def mount_v1(self, root="/"):
            escaped = str(self.v1).replace(" ", "\\040")
            lines = (
                f"40 31 0:36 / {self.tree} rw - cgroup2 cgroup2 rw\n"
                f"33 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                f"34 31 0:30 {root} {escaped} rw,relatime shared:5 - cgroup cgroup rw,cpuacct\n"
            )
            self.write(self.proc / "self" / "mountinfo", lines)

        def used(self):
            return ProcessorTime(self.tree, self.proc).of(FOLDER)

    return Machine()


def test_v2_counts_in_microseconds(machine):
    machine.write(machine.tree / FOLDER / "cpu.stat", "usage_usec 2500000\nuser_usec 2000000\n")

    assert machine.used() == 2.5

    machine.write(machine.tree / FOLDER / "cpu.stat", "usage_usec 0\n")
    assert machine.used() == 0


def test_where_v2_does_not_count_v1_does_in_nanoseconds_at_the_same_path(machine):
    machine.mount_v1()
    machine.write(machine.tree / FOLDER / "cpu.stat", "nr_periods 0\n")
    machine.write(machine.v1 / FOLDER / "cpuacct.usage", "1500000000\n")

    assert machine.used() == 1.5


def test_a_container_that_lies_elsewhere_in_v1_is_found_by_a_process_of_it(machine):
    machine.mount_v1(root="/outer")
    machine.write(machine.tree / FOLDER / "cgroup.procs", "41\n42\n")
    machine.write(machine.proc / "41" / "cgroup", f"2:cpu,cpuacct:/outer/else/a1\n0::/{FOLDER}\n")
    machine.write(machine.v1 / "else" / "a1" / "cpuacct.usage", "3000000000\n")

    assert machine.used() == 3.0


@pytest.mark.parametrize("content", ["", "usage_usec\n", "usage_usec many\n"])
def test_what_nobody_counts_is_none(machine, content):
    machine.write(machine.tree / FOLDER / "cpu.stat", content)
    assert machine.used() is None

    machine.mount_v1()
    machine.write(machine.tree / FOLDER / "cgroup.procs", "41\n")
    machine.write(machine.proc / "41" / "cgroup", "2:cpuacct:/../../etc\n")
    assert machine.used() is None


def told(meter, *uses, window=5.0):
    """Let a container use so many cores in window after window; return what was told of each."""
    used, at, results = 0.0, 100.0, []
    meter.read("a1", used, at)
    for cores in uses:
        used, at = used + cores * window, at + window
        usage = meter.read("a1", used, at)
        results.append(usage and usage.cores)
    return results


def test_the_first_window_is_told_whatever_it_is():
    assert told(Meter(), 0.0) == [0.0]
    assert Meter().read("a1", 7.0, 1.0) is None


def test_an_idle_container_is_nearly_silent():
    windows = [0.0, *[0.004, 0.0] * SILENT_WINDOWS]

    assert [cores is not None for cores in told(Meter(), *windows)].count(True) == 3


def test_a_jump_is_told_at_once_and_what_wavers_is_not():
    assert told(Meter(), 0.0, 1.0, 1.1, 0.9, 1.25, 0.02) == [0.0, 1.0, None, None, 1.25, 0.02]


def test_a_usage_says_over_which_time():
    meter = Meter()
    meter.read("a1", 1.0, 10.0)

    assert meter.read("a1", 4.0, 14.0) == Usage(cores=0.75, window_s=4.0)


def test_a_container_that_came_anew_begins_anew():
    meter = Meter()
    meter.read("a1", 50.0, 10.0)
    assert meter.read("a1", 1.0, 15.0) is None

    meter.keep(set())
    assert meter.read("a1", 50.0, 20.0) is None

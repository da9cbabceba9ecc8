# SPDX-License-Identifier: Apache-2.0
"""Who ran already, as /proc shows it: told once in each epoch, by the list or by a record."""

import asyncio
import os

import pytest

from habitus_collector.loaders.bcc import records, running
from habitus_collector.loaders.bcc.running import Listed, Running
from habitus_collector.loaders.bcc.side import Target


class Machine:
    """A folder like /proc, and a tree of cgroups."""

    def __init__(self, folder):
        self.proc, self.tree = folder / "proc", folder / "tree"
        (self.proc / "self" / "ns").mkdir(parents=True)
        (self.tree / "docker" / "a1").mkdir(parents=True)
        self.id = (self.tree / "docker" / "a1").stat().st_ino
        self.runs(1, b"init", cgroup="/", mounts="mnt:[1]")

    def runs(self, pid, name, *, parent=0, cgroup="/docker/a1", mounts="mnt:[2]", argv=b"x\0", exe=b"/bin/x"):
        folder = self.proc / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "cgroup").write_text(f"4:cpu:/else\n0::{cgroup}\n")
        (folder / "comm").write_bytes(name + b"\n")
        (folder / "cmdline").write_bytes(argv)
        (folder / "status").write_text(f"Name:\tx\\nUid:\nPPid:\t{parent}\nUid:\t7\t0\t0\t0\n")
        (folder / "exe").symlink_to(os.fsdecode(exe))
        (folder / "ns" / "mnt").symlink_to(mounts)

    def targets(self, epoch=0):
        return {self.id: Target(self.id, epoch)}


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def known(machine):
    return Running(machine.tree, 16, machine.proc)


def listed(machine, known):
    return [each.process for each in known.list(machine.targets(), {})]


def test_a_process_has_its_program_arguments_and_lineage(machine, known):
    machine.runs(20, b"sh\n\xff", parent=1, argv=b"sh\0-c\0\xff\0")
    machine.runs(21, b"sleep", parent=20, argv=b"/bin/sleep\0" + b"9" * 50, exe=b"/memfd:a\nb (deleted)")

    shell, sleep = listed(machine, known)

    assert (shell.pid, shell.ppid, shell.parent, shell.ancestors, shell.uid) == (20, 0, "", [], 7)
    assert (shell.name, shell.argv, shell.exe) == ("sh\n\\xff", ["sh", "-c", "\\xff"], "/bin/x")
    assert (sleep.ppid, sleep.parent, sleep.ancestors) == (20, "sh\n\\xff", ["sh\n\\xff"])
    assert (sleep.argv, sleep.truncated) == (["/bin/sleep", "99999…"], True)
    assert sleep.exe == "memfd:a\nb (deleted)"
    assert {shell.running, sleep.running} == {True}


def test_the_host_other_groups_and_stages_of_the_runtime_are_not_listed(machine, known):
    machine.runs(20, b"stage", parent=1, mounts="mnt:[1]")
    machine.runs(21, b"other", parent=1, cgroup="/docker")
    machine.runs(22, b"outside", parent=1, cgroup="/../tree/docker/a1")
    machine.runs(23, b"gone", parent=1, cgroup="/docker/b2")
    (machine.proc / "24").mkdir()  # one that has ended

    assert listed(machine, known) == []


async def told_of(machine, known, epoch):
    """Return who is handed over by a list of this epoch."""
    told = []
    known.begin(machine.targets(epoch), lambda each: told.append(each.process.pid))
    await asyncio.to_thread(known._thread.join)
    await asyncio.sleep(0)  # what the thread asked of the loop
    return told


async def test_who_was_told_of_is_passed_over_until_the_container_is_chosen_anew(machine, known):
    machine.runs(20, b"sh", parent=1)
    machine.runs(21, b"sleep", parent=20)
    known.heard(head(records.FORK, 21), machine.targets())

    assert await told_of(machine, known, 0) == [20]
    assert await told_of(machine, known, 0) == []
    assert await told_of(machine, known, 1) == [20, 21]

    known.heard(head(records.EXIT, 21), machine.targets(1))
    assert await told_of(machine, known, 1) == [21]


def head(kind, pid, time=1):
    return records.Head(time, 1, kind, pid, 0, 0, b"x", b"x")


async def test_of_an_exec_that_the_list_told_already_the_record_is_dropped(machine, known):
    machine.runs(20, b"sh", parent=1)
    await told_of(machine, known, 0)
    when = known._told[20].listed

    assert not known.heard(head(records.EXEC, 20, when - 1), machine.targets())
    assert known.heard(head(records.EXEC, 20, when + 1), machine.targets())
    assert known.heard(head(records.EXEC, 20, when + 2), machine.targets())


async def test_a_list_that_waits_for_ever_stops_nothing(machine, known):
    machine.runs(20, b"sh", parent=1)
    (machine.proc / "20" / "cmdline").unlink()
    os.mkfifo(machine.proc / "20" / "cmdline")  # who reads it waits for a writer

    for _ in range(2):
        known.begin(machine.targets(), Listed)
    assert known._thread.is_alive()

    (machine.proc / "20" / "cmdline").write_bytes(b"")
    known._thread.join(10)
    assert not known._thread.is_alive()


def test_in_a_pid_namespace_of_its_own_it_would_tell_the_wrong_numbers(machine, known, monkeypatch):
    (machine.proc / "self" / "ns" / "pid").touch()
    assert not known.possible

    monkeypatch.setattr(running, "_FIRST_NAMESPACE", (machine.proc / "self" / "ns" / "pid").stat().st_ino)
    assert known.possible

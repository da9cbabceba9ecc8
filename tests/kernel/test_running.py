# SPDX-License-Identifier: Apache-2.0
"""Processes that ran in a container before the collector came: each is told once, and by whoever is first."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

SH = os.path.realpath("/bin/sh").encode()
SLEEP = os.path.realpath("/bin/sleep")


@pytest.fixture
def start(new_container) -> Callable[..., tuple]:
    """Start a program in a new container; return (container, pid). It is ended after the test."""

    def start(argv: list[bytes], **how):
        container = new_container()
        pid, _ = container.run(argv, wait=False, **how)
        return container, pid

    return start


async def started(pid: int, name: str) -> None:
    """Wait until a process runs the program of that name."""
    for _ in range(500):
        if name in str(Path(f"/proc/{pid}/exe").readlink()):
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def test_what_ran_before_is_listed_as_an_exec_would_have_told_it(collect, start):
    container, pid = start(
        [b"\xff\x1b[2J", b"300"],
        env={b"LD_PRELOAD": b"/none.so"},
        before=lambda: (os.chdir("/usr/lib"), os.setuid(65534)),
        exe=SLEEP,
    )
    await started(pid, "sleep")

    recorder = await collect()

    (event,) = await recorder.of(container)
    process = event.process
    assert (event.op, process.running) == ("exec", True)
    assert (process.pid, process.ppid, process.uid) == (pid, 0, 65534)
    assert (process.name, process.parent, process.ancestors) == ("sleep", "", [])
    assert process.argv == ["\\xff\x1b[2J", "300"]
    assert (process.exe, process.cwd, process.preload) == (SLEEP, "/usr/lib", "/none.so")
    assert process.capabilities == "0" * 16
    assert event.container.id == container.id


async def test_the_whole_family_is_listed_parents_first(collect, start):
    container, pid = start([SH, b"-c", b"/bin/sleep 301 & /bin/sleep 302; exit 0"])
    await started(pid, "sh")
    await asyncio.sleep(0.1)

    recorder = await collect()

    shell, *sleeps = await recorder.of(container, count=3)
    assert shell.process.pid == pid
    assert sorted(event.process.argv[1] for event in sleeps) == ["301", "302"]
    assert {(event.process.ppid, event.process.running) for event in sleeps} == {(pid, True)}


async def test_threads_are_not_listed_and_what_comes_later_follows(collect, start):
    code = (
        b"import os, threading, time; threading.Thread(target=time.sleep, args=(300,)).start();"
        b"input(); os.execv('/bin/true', ['true'])"
    )
    ready, go = os.pipe()
    container, pid = start([sys.executable.encode(), b"-S", b"-c", code], before=lambda: os.dup2(ready, 0))
    await started(pid, "python")
    await asyncio.sleep(0.3)

    recorder = await collect()
    os.write(go, b"\n")

    events = await recorder.of(container, count=3)
    assert [(event.op, event.process.running) for event in events] == [
        ("exec", True),
        ("exec", False),
        ("exit", False),
    ]
    assert events[0].process.argv[1:] == ["-S", "-c", code.decode()]
    assert events[1].process.argv == ["true"]
    os.close(ready)
    os.close(go)


async def test_a_second_list_tells_nothing_again(collect, start):
    old, pid = start([b"/bin/sleep", b"300"])
    await started(pid, "sleep")
    recorder = await collect()
    new, pid = start([b"/bin/sleep", b"301"])
    await started(pid, "sleep")

    recorder.loader._sensors.list_running()

    assert [event.process.running for event in await recorder.of(old)] == [True]
    assert [event.process.running for event in await recorder.of(new)] == [False]


async def test_what_was_ignored_is_listed_once_it_is_watched(collect, new_container):
    recorder, container = await collect(), new_container()
    container.run([b"/bin/true"])
    await recorder.of(container, count=2)
    sensors, cgroup = recorder.loader._sensors, container.folder.stat().st_ino
    sensors.ignore(cgroup)
    pid, _ = container.run([b"/bin/sleep", b"300"], wait=False)
    await started(pid, "sleep")

    sensors.target(cgroup, cgroup)
    sensors.list_running()
    event = (await recorder.of(container, count=3))[-1]
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitpid, pid, 0)

    assert (event.op, event.process.argv, event.process.running) == ("exec", ["/bin/sleep", "300"], True)
    assert (await recorder.of(container, count=4))[-1].op == "exit"


async def test_what_was_told_before_is_listed_again_in_another_epoch_and_once(collect, start):
    old, pid = start([b"/bin/sleep", b"300"])
    await started(pid, "sleep")
    recorder = await collect()
    sensors, cgroup = recorder.loader._sensors, old.folder.stat().st_ino
    old.run([SH, b"-c", b"/bin/sleep 302; exit 0"], wait=False)
    before = {event.process.pid for event in await recorder.of(old, "exec", 3)}

    for epoch in (1, 1, 0x10000, 0x10000):  # sixteen bits of it count: the last two are 0
        sensors.target(cgroup, cgroup, 0, epoch)
        sensors.list_running()

    again = (await recorder.of(old, "exec", 9))[3:]
    assert [event.process.running for event in again] == [True] * 6
    assert [{event.process.pid for event in part} for part in (again[:3], again[3:])] == [before] * 2


async def test_a_stage_of_the_runtime_is_not_listed(collect, start):
    container, pid = start([b"/bin/sleep", b"300"], own_mounts=False)
    await started(pid, "sleep")
    other, pid = start([b"/bin/sleep", b"301"])
    await started(pid, "sleep")

    recorder = await collect()

    await recorder.of(other)
    assert recorder._of(container, None) == []


async def test_execs_while_the_list_is_made_are_told_once_each(collect, start):
    """A shell replaces itself over and over while the list runs: no program is told twice."""
    loop = b'n=$1; [ $n = 400 ] && exit 0; exec $0 -c "$2" $0 $((n+1)) "$2"'
    ready, go = os.pipe()
    first = b'read x; exec $0 -c "$1" $0 0 "$1"'
    container, pid = start([SH, b"-c", first, SH, loop], before=lambda: os.dup2(ready, 0))
    await started(pid, "sh")
    recorder = await collect()
    sensors = recorder.loader._sensors

    os.write(go, b"\n")
    for _ in range(40):
        sensors.list_running()
        await asyncio.sleep(0.005)

    events = [event.process for event in await recorder.of(container, "exec", 402)]
    assert [process.running for process in events[:1]] == [True]
    numbers = [int(process.argv[-2]) for process in events[1:]]
    assert sorted(numbers) == list(range(401))
    os.close(ready)
    os.close(go)

# SPDX-License-Identifier: Apache-2.0
"""What the process sensor shows of containers, and what it must not show."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

SH = os.path.realpath("/bin/sh")


async def test_an_exec_shows_the_program_as_the_container_sees_it(collect, new_container):
    recorder, container = await collect(), new_container()

    pid, status = container.run([b"/bin/true", b"--x"], before=lambda: os.chdir("/usr/lib"))

    (event,) = await recorder.of(container, "exec")
    process = event.process
    assert status == 0
    assert (process.pid, process.ppid, process.uid) == (pid, 0, 0)
    assert (process.name, process.parent, process.ancestors) == ("true", "", [])
    assert process.exe == os.path.realpath("/bin/true")
    assert process.argv == ["/bin/true", "--x"]
    assert process.cwd == "/usr/lib"
    assert event.node == "n1"
    assert abs(event.ts - time.time_ns()) < 5e9
    assert event.container.image == f"unresolved:{container.id[:12]}"
    assert event.container.pod.uid == container.pod_uid


async def test_hostile_arguments_arrive_whole(collect, new_container):
    recorder, container = await collect(), new_container()

    container.run([b"/bin/true", b"\xff\xfe", b"", b"\x1b[2J\x1b]0;x\x07", "名\n".encode(), b""])

    (event,) = await recorder.of(container, "exec")
    assert event.process.argv == ["/bin/true", "\\xff\\xfe", "", "\x1b[2J\x1b]0;x\x07", "名\n", ""]


@pytest.mark.parametrize("limit", [128, 4096, 16384])
async def test_long_arguments_are_cut_at_the_setting_and_say_so(collect, new_container, limit):
    recorder, container = await collect(max_argv_bytes=limit), new_container()

    container.run([b"/bin/true", b"a" * 20_000])
    container.run([b"/bin/true", b"b" * (limit - len("/bin/true") - 2)])

    cut, whole = await recorder.of(container, "exec", 2)
    assert cut.process.argv[-1] == "a" * (limit - len("/bin/true") - 1) + "…"
    assert whole.process.argv[-1] == "b" * (limit - len("/bin/true") - 2)
    assert (cut.process.truncated, whole.process.truncated) == (True, False)


async def test_lineage_ends_at_the_container(collect, new_container):
    recorder, container = await collect(), new_container()

    container.run([SH.encode(), b"-c", b"/bin/bash -c '/bin/true; exit 3'; exit 4"])

    shell, bash, true = await recorder.of(container, "exec", 3)
    name = Path(SH).name
    assert (shell.process.parent, shell.process.ancestors) == ("", [])
    assert (bash.process.parent, bash.process.ancestors) == (name, [name])
    assert (true.process.parent, true.process.ancestors) == ("bash", ["bash", name])
    assert true.process.ppid == bash.process.pid


async def test_eight_ancestors_are_named_and_no_more(collect, new_container):
    recorder, container = await collect(), new_container()
    deeper = b'[ $1 = 10 ] && exec /bin/true; $0 -c "$2" $0 $(($1 + 1)) "$2"; exit 0'

    container.run([SH.encode(), b"-c", deeper, SH.encode(), b"0", deeper])

    *_, last = await recorder.of(container, "exec", 12)
    assert last.process.name == "true"
    assert last.process.ancestors == [Path(SH).name] * 8


async def test_an_exec_tells_when_its_parent_was_started(collect, new_container):
    """By its fork, which is before its own exec; a parent outside of the container is not told of."""
    recorder, container = await collect(), new_container()
    before = time.time_ns()

    container.run([SH.encode(), b"-c", b"/bin/bash -c '/bin/true; exit 3'; exit 4"])

    shell, bash, true = await recorder.of(container, "exec", 3)
    assert shell.process.parent_started is None
    assert before - 5e7 < bash.process.parent_started <= shell.ts
    assert shell.ts < true.process.parent_started < bash.ts


async def test_each_process_has_fork_exec_and_exit_in_order(collect, new_container):
    recorder, container = await collect(), new_container()

    container.run([SH.encode(), b"-c", b"/bin/true; exit 7"])

    events = await recorder.of(container, count=5)
    assert [event.op for event in events] == ["exec", "fork", "exec", "exit", "exit"]
    times = [event.ts for event in events]
    assert times == sorted(times)


async def test_an_exit_tells_its_code_and_the_signal_that_ended_it(collect, new_container):
    recorder, container = await collect(), new_container()

    container.run([SH.encode(), b"-c", b"exit 7"])
    _, status = container.run([SH.encode(), b"-c", b"kill -9 $$"])

    exits = [event.process for event in await recorder.of(container, "exit", 2)]
    assert [(process.exit_code, process.exit_signal) for process in exits] == [(7, 0), (0, 9)]
    assert os.WTERMSIG(status) == signal.SIGKILL


async def test_threads_are_no_processes(collect, new_container):
    recorder, container = await collect(), new_container()
    code = b"import threading as t; x=[t.Thread(target=int) for _ in range(5)]; [y.start() for y in x]"

    container.run([sys.executable.encode(), b"-S", b"-c", code])

    events = await recorder.of(container, count=2)
    assert [event.op for event in events] == ["exec", "exit"]


async def test_a_program_in_memory_is_named_as_such(collect, new_container):
    recorder, container = await collect(), new_container()
    memory = os.memfd_create("kthreadd", 0)
    os.write(memory, Path("/bin/true").read_bytes())

    container.run([b"[kthreadd]"], exe=memory)
    os.close(memory)

    (event,) = await recorder.of(container, "exec")
    assert event.process.exe == "memfd:kthreadd (deleted)"


async def test_a_program_that_removed_itself_is_named_as_such(collect, new_container, tmp_path):
    recorder, container = await collect(), new_container()
    binary = tmp_path / "gone"
    binary.write_bytes(Path("/bin/true").read_bytes())
    binary.chmod(0o755)
    handle = os.open(binary, os.O_RDONLY)
    binary.unlink()

    container.run([b"gone"], exe=handle)
    os.close(handle)

    (event,) = await recorder.of(container, "exec")
    assert event.process.exe == f"{binary} (deleted)"


async def test_deep_paths_are_cut_above_and_say_so(collect, new_container, tmp_path):
    recorder, container = await collect(), new_container()
    deep = tmp_path.joinpath(*["d"] * 70)
    deep.mkdir(parents=True)
    link = deep / "true"
    link.write_bytes(Path("/bin/true").read_bytes())
    link.chmod(0o755)

    container.run([b"x"], exe=str(link))

    (event,) = await recorder.of(container, "exec")
    assert event.process.exe.startswith("…/d/d/")
    assert event.process.exe.endswith("/d/true")
    assert event.process.truncated


async def test_a_chroot_hides_no_path(collect, new_container, tmp_path):
    recorder, container = await collect(), new_container()
    busybox = tmp_path / "bin"
    busybox.mkdir()
    static = Path("/bin/busybox")
    if not static.is_file():
        pytest.skip("no static busybox: apt-get install busybox-static")
    (busybox / "busybox").write_bytes(static.read_bytes())
    (busybox / "busybox").chmod(0o755)

    container.run([b"/bin/busybox", b"true"], before=lambda: os.chroot(tmp_path))

    (event,) = await recorder.of(container, "exec")
    assert event.process.exe == f"{tmp_path}/bin/busybox"


async def test_the_runtimes_own_stages_are_no_events(collect, new_container):
    """They have the container's cgroup, and still the mount namespace of the runtime."""
    recorder, container = await collect(), new_container()

    container.run([SH.encode(), b"-c", b"/bin/true; /bin/true"], own_mounts=False)
    container.run([b"/bin/true", b"entrypoint"])

    events = await recorder.of(container, count=2)
    assert [(event.op, event.process.argv) for event in events] == [
        ("exec", ["/bin/true", "entrypoint"]),
        ("exit", None),
    ]


async def test_a_process_that_enters_the_hosts_mounts_stays_visible(collect, new_container):
    recorder, container = await collect(), new_container()
    enter = f"/usr/bin/nsenter --mount=/proc/{os.getpid()}/ns/mnt /bin/true escaped"

    container.run([b"/bin/bash", b"-c", b"exec " + enter.encode()])

    events = await recorder.of(container, "exec", 3)
    assert events[-1].process.argv == ["/bin/true", "escaped"]


async def test_the_hosts_own_processes_are_no_events(collect, new_container):
    recorder, container = await collect(), new_container()

    await asyncio.to_thread(subprocess.run, ["/bin/true", "of the host"], check=True)
    container.run([b"/bin/true"])

    await recorder.of(container, "exec")
    assert not [event for event in recorder.events if event.process.argv == ["/bin/true", "of the host"]]


async def test_a_group_below_the_container_belongs_to_it(collect, new_container):
    recorder, container = await collect(), new_container()
    below = container.folder / "init.scope"
    below.mkdir()

    container.run([b"/bin/true", b"below"], cgroup=below)

    (event,) = await recorder.of(container, "exec")
    assert event.process.argv == ["/bin/true", "below"]
    assert recorder.loader.status().containers >= 1


async def test_a_container_older_than_the_collector_is_watched_from_the_start(collect, new_container):
    container = new_container()
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec("/bin/sh", "-c", "read x; /bin/true old; exit 0", stdin=pipe)
    (container.folder / "cgroup.procs").write_text(str(child.pid))
    recorder = await collect()

    await child.communicate(b"go\n")

    (event,) = await recorder.of(container, "exec")
    assert event.process.argv == ["/bin/true", "old"]
    assert event.process.parent == "sh"


async def test_many_short_containers_lose_nothing(collect, new_container):
    recorder = await collect()
    made = [new_container() for _ in range(20)]

    def run_all():
        for number, container in enumerate(made):
            container.run([b"/bin/true", str(number).encode()])
            container.remove()

    await asyncio.to_thread(run_all)

    for number, container in enumerate(made):
        (event,) = await recorder.of(container, "exec")
        assert event.process.argv == ["/bin/true", str(number)]
    assert not recorder.loader.status().lost


async def test_what_the_ring_cannot_take_is_counted(collect, new_container):
    recorder, container = await collect(max_argv_bytes=16384), new_container()
    runs = 400  # of 16 kB each, while this test keeps the loop from reading a ring of 4 MB

    for number in range(runs):
        container.run([b"/bin/true", str(number).encode(), b"x" * 17_000])

    assert recorder.loader.status().ring > 0.99
    seen = await recorder.of(container, count=250)
    status = recorder.loader.status()
    assert status.ring < 0.5
    image, counts = status.lost_of[container.folder.stat().st_ino]
    lost = counts["process"]
    assert image == f"unresolved:{container.id[:12]}"
    assert lost > 0
    assert status.lost["process"] == sum(of.counts.get("process", 0) for of in status.lost_of.values())
    assert len(seen) + lost == 2 * runs
    order = [int(event.process.argv[1]) for event in seen if event.op == "exec"]
    assert order == sorted(order)

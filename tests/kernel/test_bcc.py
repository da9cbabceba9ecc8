# SPDX-License-Identifier: Apache-2.0
"""The loader bcc on the running kernel: by its headers where they are installed, else by its BTF."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus_collector.loaders.bcc import side
from habitus_collector.loaders.bcc.loader import BccLoader
from habitus_testing import eventually

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

SENSORS = ["process", "file", "network"]
BASH = os.path.realpath(shutil.which("bash") or "/bin/bash").encode()
PYTHON = os.path.realpath(sys.executable).encode()


class Nowhere:
    def add(self, event):
        pass


@pytest.fixture(scope="module", autouse=True)
def _bcc():
    if subprocess.run([side.PYTHON, "-I", "-c", "import bcc"], capture_output=True, check=False).returncode:
        pytest.skip(side.ADVICE)


@pytest.fixture
async def watched(collect, new_container):
    return await collect(BccLoader, sensors=SENSORS), new_container()


def python(container, code, *arguments):
    return container.run([PYTHON, b"-ISc", code.encode(), *map(os.fsencode, arguments)])


async def test_an_exec_has_its_program_arguments_and_lineage(watched):
    recorder, container = watched

    container.run([BASH, b"-c", b"/bin/true \xff '' 'a b'; exit 7"])

    bash, true = await recorder.of(container, "exec", 2)
    assert (bash.process.exe, bash.process.ppid, bash.process.parent) == (BASH.decode(), 0, "")
    assert bash.process.ancestors == []
    assert true.process.exe == os.path.realpath("/bin/true")
    assert true.process.argv == ["/bin/true", "\\xff", "", "a b"]
    assert (true.process.ppid, true.process.parent) == (bash.process.pid, "bash")
    assert true.process.ancestors == ["bash"]
    events = [event for event in await recorder.of(container) if event.class_ == "process"]
    assert [event.op for event in events] == ["exec", "fork", "exec", "exit", "exit"]
    assert (events[-1].process.exit_code, events[-1].process.exit_signal) == (7, 0)
    assert (bash.node, bash.container.id) == ("n1", container.id)
    assert bash.container.pod.uid == container.pod_uid


def event_is_of(container, event):
    return (event.node, event.container.id, event.container.pod.uid) == (
        "n1",
        container.id,
        container.pod_uid,
    )


async def test_a_signal_that_ends_a_process_is_told(watched):
    recorder, container = watched

    container.run([BASH, b"-c", b"kill -9 $$"])

    (event,) = await recorder.of(container, "exit")
    assert (event.process.exit_code, event.process.exit_signal) == (0, signal.SIGKILL)


async def test_long_arguments_are_cut_and_say_so(watched):
    recorder, container = watched

    container.run([b"/bin/true", b"a" * 20_000])

    (event,) = await recorder.of(container, "exec")
    assert event.process.truncated
    assert event.process.argv == ["/bin/true", "a" * (4095 - len("/bin/true") - 1) + "…"]


async def test_opened_created_renamed_and_removed_files_have_whole_paths(watched, tmp_path):
    recorder, container = watched
    (tmp_path / "old").write_text("x")
    (tmp_path / "link").symlink_to("old")
    code = (
        "import os, sys; os.chdir(sys.argv[1]); open('link'); open('new', 'w'); open('new', 'a');"
        "os.rename('new', 'sub'); os.unlink('./sub'); os.open('.', os.O_PATH)"
    )

    _, status = python(container, code, tmp_path)

    assert status == 0
    await recorder.of(container, "exit")
    found = [
        (event.op, event.file.path, event.file.new_path, event.file.flags)
        for event in recorder.events
        if event.class_ == "file" and event.file.path.startswith(str(tmp_path))
    ]
    assert found == [
        ("open", f"{tmp_path}/old", None, ["read"]),
        ("create", f"{tmp_path}/new", None, ["write"]),
        ("open", f"{tmp_path}/new", None, ["write", "append"]),
        ("rename", f"{tmp_path}/new", f"{tmp_path}/sub", []),
        ("unlink", f"{tmp_path}/sub", None, []),
    ]


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_connect_listen_and_accept_name_the_peer(watched, family, host):
    recorder, container = watched
    code = (
        "import os, socket, sys; s = socket.create_server((sys.argv[1], 0), family=int(sys.argv[2]));"
        "c = socket.create_connection(s.getsockname()[:2]); s.accept()"
    )

    _, status = python(container, code, host, str(int(family)))

    assert status == 0
    await recorder.of(container, "exit")
    events = [event for event in recorder.events if event.class_ == "network"]
    assert [event.op for event in events] == ["listen", "connect", "accept"]
    listen, connect, accept = [event.network for event in events]
    assert (connect.direction, connect.protocol, connect.remote_ip) == ("egress", "tcp", host)
    assert connect.remote_port == listen.local_port == accept.local_port
    assert (accept.direction, accept.remote_ip) == ("ingress", host)


async def test_a_program_in_memory_is_named_as_such(watched):
    recorder, container = watched
    memory = os.memfd_create("kthreadd", 0)
    os.write(memory, Path("/bin/true").read_bytes())

    container.run([b"[kthreadd]"], exe=memory)
    os.close(memory)

    (event,) = await recorder.of(container, "exec")
    assert event.process.exe == "memfd:kthreadd (deleted)"


async def test_the_host_and_the_runtimes_own_stages_are_no_events(watched):
    recorder, container = watched

    await asyncio.to_thread(subprocess.run, ["/bin/true", "of the host"], check=True)
    container.run([b"/bin/true", b"a stage"], own_mounts=False)
    container.run([b"/bin/true", b"entrypoint"])

    await recorder.of(container, "exit")
    execs = [event.process.argv for event in recorder.events if event.op == "exec"]
    assert ["/bin/true", "of the host"] not in execs
    assert ["/bin/true", "a stage"] not in execs
    assert ["/bin/true", "entrypoint"] in execs


async def test_many_short_containers_lose_nothing(watched, new_container):
    recorder, _ = watched
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


async def test_what_a_buffer_cannot_take_is_counted(watched):
    recorder, container = watched
    child = recorder.loader._side._process
    child.send_signal(signal.SIGSTOP)
    runs = 400

    for number in range(runs):
        container.run([b"/bin/true", str(number).encode()])
    child.send_signal(signal.SIGCONT)

    seen = await recorder.of(container, count=50)
    lost = recorder.loader.status().lost
    assert lost["process"] > 0
    assert set(lost) <= {"process", "file"}  # nothing of the network was there to be lost
    assert len(seen) < 4 * runs


async def test_what_is_attached_and_its_memory_are_told(watched):
    recorder, _ = watched
    status = Path(f"/proc/{recorder.loader._side._process.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))

    sys.stdout.write(f"bcc: {resident}\n")
    assert recorder.loader.status().hooks == [
        "cgroup_mkdir",
        "inet_sock_set_state",
        "sched_process_exec",
        "sched_process_exit",
        "sched_process_fork",
        "sys_exit",
    ]


async def test_what_ran_before_is_listed_from_proc_and_what_it_does_later_is_told(collect, new_container):
    container = new_container()
    ready, go = os.pipe()
    code = b"/bin/sleep 301 & read x; : < /etc/hostname; /bin/true; wait"
    pid, _ = container.run([BASH, b"-c", code], before=lambda: os.dup2(ready, 0), wait=False)
    container.run([b"/bin/sleep", b"302"], own_mounts=False, wait=False)
    await eventually(lambda: container.names() == ["bash", "sleep", "sleep"])

    recorder = await collect(BccLoader, sensors=SENSORS)
    bash, sleep = await recorder.of(container, "exec", 2)
    os.write(go, b"\n")

    assert (bash.process.pid, bash.process.ppid, bash.process.exe) == (pid, 0, BASH.decode())
    assert (bash.process.argv, bash.process.running) == ([BASH.decode(), "-c", code.decode()], True)
    assert (sleep.process.argv, sleep.process.ancestors) == (["/bin/sleep", "301"], ["bash"])
    later = (await recorder.of(container, "exec", 3))[2]
    assert (later.process.argv, later.process.running) == (["/bin/true"], False)
    assert "/etc/hostname" in [event.file.path for event in recorder.events if event.class_ == "file"]
    os.close(ready)
    os.close(go)


def listed(recorder, container):
    """Return what the processes of `container` that ran before were told with, last word each.

    The child takes a line when it comes to it: an exec just after `ignore` may still be told as it happens.
    """
    mine = [event for event in recorder.events if event.op == "exec" and event_is_of(container, event)]
    return [event.process.argv[-1] for event in mine if event.process.running]


async def test_who_was_not_chosen_is_listed_when_he_is_and_seen_from_then_on(watched):
    recorder, container = watched
    side, cgroup = recorder.loader._side, container.folder.stat().st_ino
    await eventually(lambda: cgroup in side.targets)
    container.run([b"/bin/sleep", b"300"], wait=False)
    await recorder.of(container, "exec")
    side.ignore(cgroup)
    ready, go = os.pipe()
    code = b"read x; : < /etc/hostname"
    container.run([BASH, b"-c", code], before=lambda: os.dup2(ready, 0), wait=False)
    await eventually(lambda: container.names() == ["bash", "sleep"])

    side.target(cgroup, cgroup, 0, 1)
    recorder.loader._begin_list()
    await eventually(lambda: len(listed(recorder, container)) == 2)
    await until_taken(recorder, container)
    os.write(go, b"\n")

    assert listed(recorder, container) == ["300", code.decode()]
    await eventually(lambda: ended(recorder, container, code.decode()))
    assert "/etc/hostname" in [event.file.path for event in recorder.events if event.class_ == "file"]
    os.close(ready)
    os.close(go)


async def until_taken(recorder, container):
    """Wait until the child has come to the line that chooses the container: what runs there is told."""

    def told():
        container.run([b"/bin/true"])
        return any(event.process.argv == ["/bin/true"] for event in recorder.events if event.op == "exec")

    await eventually(told)


def ended(recorder, container, word):
    """Say whether the listed process whose last word this is was seen to end."""
    mine = [event for event in recorder.events if event_is_of(container, event)]
    [pid] = [event.process.pid for event in mine if event.process.running and event.process.argv[-1] == word]
    return any(event.op == "exit" and event.process.pid == pid for event in mine)


async def test_the_end_of_the_child_is_a_fault_of_one_line(objects):
    loader = BccLoader(CollectorSettings(sensors=["process"], discovery=[]))
    started = asyncio.Event()
    running = asyncio.create_task(loader.run(Nowhere(), started, asyncio.Event()))
    await asyncio.wait_for(started.wait(), 120)
    loader._side._process.kill()

    with pytest.raises(ServiceFault, match="the process that runs bcc ended"):
        await asyncio.wait_for(running, 10)

# SPDX-License-Identifier: Apache-2.0
"""Programs hang on each container's own cgroup, and nowhere else."""

import socket
from pathlib import Path

import pytest

from habitus_collector import cgroups
from habitus_flows import connect_to, kernel_of, listener
from habitus_loopback import run

pytestmark = pytest.mark.kernel


def runs(kernel):
    """Return how often each program ran, by the kernel's own count."""
    found = {}
    for loaded in kernel._objects:
        for name, descriptor in loaded.programs.items():
            lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
            found[name] = next(int(line.split()[1]) for line in lines if line.startswith("run_cnt"))
    return found


@pytest.fixture
def counted():
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text()
    switch.write_text("1")
    yield
    switch.write_text(before)


@pytest.mark.usefixtures("counted")
async def test_the_hosts_packets_and_calls_do_not_pass_our_programs(watching):
    recorder, container = await watching()
    of_host = (
        "on_egress",
        "on_ingress",
        "on_sendmsg4",
        "on_recvmsg4",
        "on_connect4",
        "on_release",
        "on_connect_unix",
    )
    before = runs(kernel_of(recorder))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.sendto(b"x", one.getsockname())
        one.recv(1)
        one.connect(one.getsockname())
    with socket.socket(socket.AF_UNIX) as one:
        one.connect_ex("/nowhere")
    after_host = runs(kernel_of(recorder))
    assert run(container, "import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 9))") == 0

    assert {name: after_host[name] - before[name] for name in of_host} == dict.fromkeys(of_host, 0)
    assert runs(kernel_of(recorder))["on_egress"] > before["on_egress"]


async def test_the_hooks_of_a_container_go_with_it_and_a_new_one_gets_its_own(watching, new_container):
    recorder, container = await watching()
    hooks = kernel_of(recorder).hooks_of_containers
    root = container.folder.stat().st_ino
    assert hooks.of(root) >= 9
    descriptors = len(list(Path("/proc/self/fd").iterdir()))

    container.remove()
    tree = cgroups.mount_point()
    for _ in range(2):  # missing twice: gone
        recorder.loader._watch.compare(cgroups.walk(tree))

    assert hooks.of(root) == 0
    assert len(list(Path("/proc/self/fd").iterdir())) < descriptors
    other = new_container()
    await recorder.hooked(other)
    assert run(other, "import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 9))") == 0
    assert len(await recorder.of(other, "send")) == 1


async def test_a_container_without_hooks_is_one_line_and_the_others_go_on(
    watching, new_container, caplog, monkeypatch
):
    recorder, container = await watching()
    real = cgroups.opened

    def refuse(tree, cgroup):
        if cgroup == container.folder.stat().st_ino:
            return real(tree, cgroup)
        raise PermissionError(1, "Operation not permitted", f"cgroup {cgroup}")

    monkeypatch.setattr(cgroups, "opened", refuse)
    other = new_container()
    with listener() as server:
        assert run(other, connect_to(server.getsockname()[1])) == 0
        assert len(await recorder.of(other, "connect")) == 1

    lines = [record.message for record in caplog.records if "seen in part only" in record.message]
    assert len(lines) == 1
    assert f"cgroup {other.folder.stat().st_ino}" in lines[0]


async def test_a_container_inside_a_container_passes_the_outer_ones_programs_once(watching):
    recorder, container = await watching()
    inner = container.folder / "docker" / ("e" * 64)
    inner.mkdir(parents=True)
    await recorder.of(container, count=0)
    hooks = kernel_of(recorder).hooks_of_containers
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        code = f"import socket; socket.socket(2, 2).sendto(b'x' * 9, ('127.0.0.1', {peer.getsockname()[1]}))"
        assert run(container, code, cgroup=inner) == 0
    await recorder.of(container, count=0)
    inner.rmdir()
    inner.parent.rmdir()

    ours = [event for event in recorder.events if event.container.id == "e" * 64]
    assert [(event.op, event.network.sent) for event in ours] == [("send", None), ("close", 9)]
    assert hooks.of(container.folder.stat().st_ino)

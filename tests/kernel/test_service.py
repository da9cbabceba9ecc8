# SPDX-License-Identifier: Apache-2.0
"""The collector as a process of its own: kernel → NATS, what it costs, and how it stops."""

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from habitus import subjects, wire
from habitus.nodes import NodeStatus
from habitus_collector.libbpf import BpfObject, Libbpf, LibbpfFault

pytestmark = pytest.mark.kernel

RESIDENT_KIB = 80 * 1024


@pytest.fixture
def collector(objects, nats_server, tmp_path):
    environment = {
        **nats_server.environment,
        "HABITUS_COLLECTOR_NODE": "n1",
        "HABITUS_COLLECTOR_DISCOVERY": "cri,docker,podman",
        "HABITUS_COLLECTOR_OBJECTS": str(objects),
    }
    with (tmp_path / "collector.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "habitus_collector"], env=environment, stderr=log)
    deadline = time.monotonic() + 20
    while "ready" not in (tmp_path / "collector.log").read_text():
        alive = process.poll() is None and time.monotonic() < deadline
        assert alive, (tmp_path / "collector.log").read_text()
        time.sleep(0.02)
    yield process
    process.terminate()
    process.wait(10)


async def test_an_exec_is_on_the_bus_within_the_budget_and_the_status_tells_of_it(
    collector, new_container, bus
):
    container = new_container()
    subscription = await bus.nc.subscribe("habitus.events.process.*")
    waits = []
    for number in range(50):
        container.run([b"/bin/true", str(number).encode()])
        found = None
        while found is None:
            message = await subscription.next_msg(timeout=5)
            events = wire.decode(wire.EventBatch, message.data).events
            found = next((e for e in events if e.op == "exec" and e.process.argv[1:] == [str(number)]), None)
        waits.append((time.time_ns() - found.ts) / 1e6)

    waits.sort()
    sys.stdout.write(f"exec → bus: p50 {waits[25]:.1f} ms, p98 {waits[-2]:.1f} ms\n")
    assert waits[-2] < 50
    await asyncio.sleep(2.5)
    bucket = await bus.js.key_value(subjects.NODES)
    status = NodeStatus.model_validate_json((await bucket.get("n1")).value)
    assert (status.node, status.loader) == ("n1", "core")
    assert {"on_exec", "on_fork", "on_exit"} <= set(status.hooks)
    assert status.events["process"] >= 100
    assert status.containers >= 1
    assert not status.lost


async def test_resident_memory_keeps_its_budget_under_load(collector, new_container):
    container = new_container()
    loop = b"i=0; while [ $i -lt 2000 ]; do /bin/true; i=$((i+1)); done"
    await asyncio.to_thread(container.run, [b"/bin/sh", b"-c", loop])

    status = Path(f"/proc/{collector.pid}/status").read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    sys.stdout.write(f"collector resident: {resident} KiB\n")
    assert resident <= RESIDENT_KIB


def test_a_signal_ends_it_cleanly(collector):
    collector.terminate()

    assert collector.wait(10) == 0


def test_an_object_that_is_none_is_refused_in_one_line(tmp_path):
    path = tmp_path / "broken.bpf.o"
    path.write_bytes(b"\x7fELF" + os.urandom(64))

    with pytest.raises(LibbpfFault) as fault:
        BpfObject(Libbpf(), path)

    assert str(fault.value).startswith("broken.bpf.o cannot be opened: ")
    assert "\n" not in str(fault.value)

# SPDX-License-Identifier: Apache-2.0
"""What is remembered of a process goes when it does, and is remembered however many there are."""

import asyncio
import os
import sys
import time

import pytest

from habitus_collector.libbpf import BpfObject

pytestmark = pytest.mark.kernel

SH = os.path.realpath("/bin/sh").encode()
PYTHON = os.path.realpath(sys.executable).encode()
_PATIENCE_S = 10
_THREADS = b"""
import os, threading
for _ in range(5):
    thread = threading.Thread(target=os.getpid)
    thread.start()
    thread.join()
if not os.fork():
    os._exit(0)
os.wait()
"""
_EXEC_OF_A_THREAD = b"""
import os, threading
threading.Thread(target=os.execv, args=("/bin/true", ["true"])).start()
threading.Event().wait()
"""


def remembered(recorder) -> set[bytes]:
    return set(recorder.loader._sensors.map("arrivals").keys())


@pytest.mark.parametrize("code", [_THREADS, _EXEC_OF_A_THREAD])
async def test_what_is_remembered_of_tasks_goes_when_they_do(collect, new_container, code):
    recorder, container = await collect(), new_container()
    container.run([b"/bin/sleep", b"100"], wait=False)
    await recorder.of(container, "exec")
    before = remembered(recorder)

    for _ in range(10):
        container.run([PYTHON, b"-ISc", code])

    assert before
    deadline = time.monotonic() + _PATIENCE_S
    while remembered(recorder) != before:
        assert time.monotonic() < deadline, f"{len(remembered(recorder))} are remembered, not {len(before)}"
        await asyncio.sleep(0.05)


@pytest.fixture
def one_place(monkeypatch):
    """A table that has room for one task."""
    load = BpfObject.load

    def loaded(opened: BpfObject) -> None:
        if opened.has_map("arrivals"):
            opened.resize("arrivals", 1)
        load(opened)

    monkeypatch.setattr(BpfObject, "load", loaded)


async def test_who_finds_no_room_is_remembered_all_the_same(one_place, collect, new_container, tmp_path):
    recorder, container = await collect(sensors=["process", "file"]), new_container()
    container.run([b"/bin/sleep", b"100"], wait=False)
    await recorder.of(container, "exec")
    code = f"import os\nif not os.fork(): open({str(tmp_path / 'x')!r}, 'w')\nelse: os.wait()"

    container.run([PYTHON, b"-ISc", code.encode()])

    assert len(remembered(recorder)) == 1
    created = await recorder.of(container, "create")
    assert [event.file.path for event in created] == [str(tmp_path / "x")]
    assert len(await recorder.of(container, "exit", count=2)) == 2


async def test_a_known_program_that_finds_no_room_is_held_back(one_place, collect, new_container):
    recorder, container = await collect(), new_container()
    container.run([b"/bin/sleep", b"100"], wait=False)
    await recorder.of(container, "exec")
    sensors, cgroup = recorder.loader._sensors, container.folder.stat().st_ino
    sensors.target(cgroup, cgroup, 4000)
    sensors.revise(4000, 1)
    script = [SH, b"-c", b"/bin/true a; exit 3"]
    container.run(script)
    for event in await recorder.of(container, count=6):
        sensors.know(event.token, 1)
    before = len(recorder.events)

    container.run(script)

    await asyncio.sleep(0.2)
    assert recorder.events[before:] == []

# SPDX-License-Identifier: Apache-2.0
"""Containers made by hand, and the collector's core loader inside the test's own process."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from habitus.events import Event
from habitus.settings import CollectorSettings
from habitus_cgroups import FakeContainer
from habitus_collector import cgroups, environment
from habitus_collector.loaders.core import CoreLoader
from habitus_known import Known
from habitus_loopback import Namespace

_PATIENCE_S = 20  # emulated machines are slow
_MAKEFILE = Path(__file__).parents[2] / "bpf"
_RING = Path(__file__).with_name("ring.c")
_RING_ALLOWED = Path("/proc/sys/kernel/io_uring_disabled")


@pytest.fixture(scope="session")
def objects() -> Path:
    """The built objects; builds them where they are missing or old."""
    if shutil.which("clang") or shutil.which("clang-19"):
        subprocess.run(["make", "-s", "-C", str(_MAKEFILE)], check=True)
    folder = environment.objects_folder(None)
    for fault in environment.faults(folder):
        pytest.skip(fault)
    return folder


@pytest.fixture
def new_container(objects: Path) -> Iterator[Callable[..., FakeContainer]]:
    tree = cgroups.mount_point()
    assert tree is not None
    made: list[FakeContainer] = []

    def make(folder: str | None = None) -> FakeContainer:
        made.append(FakeContainer(tree, folder))
        return made[-1]

    yield make
    for container in reversed(made):
        container.remove()


class Recorder:
    """An outlet that keeps the events and lets a test wait for them."""

    def __init__(self, loader: CoreLoader) -> None:
        self.loader = loader
        self.events: list[Event] = []

    def add(self, event: Event) -> None:
        self.events.append(event)

    async def room(self) -> None:
        pass

    async def hooked(self, container: FakeContainer) -> None:
        """Wait until the programs for this container's own cgroup hang there."""
        deadline = time.monotonic() + 5
        while not self.loader._sensors.hooks_of_containers.of(container.folder.stat().st_ino):
            assert time.monotonic() < deadline, f"nothing was attached to {container.folder}"
            await asyncio.sleep(0.005)

    async def of(self, container: FakeContainer, op: str | None = None, count: int = 1) -> list[Event]:
        """Return the events of a container once there are `count` and nothing more comes."""
        deadline = time.monotonic() + _PATIENCE_S
        while len(self._of(container, op)) < count:
            assert time.monotonic() < deadline, f"of {count} events came {self._of(container, op)}"
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        return self._of(container, op)

    def _of(self, container: FakeContainer, op: str | None) -> list[Event]:
        own = [event for event in self.events if event.container.id == container.id]
        return [event for event in own if op in (None, event.op)]


@pytest.fixture
async def collect(objects: Path) -> AsyncIterator[Callable[..., "asyncio.Future[Recorder]"]]:
    """Start the core loader, or another, with some settings; it is stopped at the end."""
    stop = asyncio.Event()
    running = []
    loaders: list[CoreLoader] = []

    async def start(loader: type[CoreLoader] = CoreLoader, **settings: object) -> Recorder:
        quiet: dict[str, object] = {
            "discovery": [],
            "sensors": ["process"],
            "objects": objects,
            "node": "n1",
            "file_rung": os.environ.get("TEST_FILE_RUNG", "auto"),
            **settings,
        }
        recorder = Recorder(loader(CollectorSettings.model_validate(quiet)))
        loaders.append(recorder.loader)
        started = asyncio.Event()
        task = asyncio.create_task(recorder.loader.run(recorder, started, stop))
        running.append(task)
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        return recorder

    yield start  # type: ignore[misc]  # an async function, called as one
    stop.set()
    try:
        await asyncio.gather(*running)
    finally:
        for each in loaders:
            each.close()


@pytest.fixture
def watching(
    collect: Callable[..., "asyncio.Future[Recorder]"], new_container: Callable[[], FakeContainer]
) -> Callable[..., Awaitable[tuple[Recorder, FakeContainer]]]:
    """Start some sensors (`network` alone by default) and make a container that they hang on already."""

    async def start(*sensors: str) -> tuple[Recorder, FakeContainer]:
        recorder, container = await collect(sensors=list(sensors or ["network"])), new_container()
        await recorder.hooked(container)
        return recorder, container

    return start


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A network namespace with a name server and a TCP server."""
    made = Namespace("127.9.9.9", "::1")
    yield made
    made.close()


@pytest.fixture
async def known(
    collect: Callable[..., "asyncio.Future[Recorder]"], new_container: Callable[[], FakeContainer]
) -> Known:
    return Known(await collect(sensors=["process", "file"]), new_container())


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The program that asks io_uring for file work; io_uring is allowed while it is in use."""
    program = tmp_path_factory.mktemp("ring") / "ring"
    subprocess.run(["cc", "-O1", "-Wall", "-Werror", "-o", program, _RING], check=True)
    before = _RING_ALLOWED.read_text() if _RING_ALLOWED.exists() else None
    if before is not None:
        _RING_ALLOWED.write_text("0")
    yield str(program)
    if before is not None:
        _RING_ALLOWED.write_text(before)

# SPDX-License-Identifier: Apache-2.0
"""Engines of a test's own, images for them, the collector, and the events that it publishes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NoMessage

from habitus import wire
from habitus.bus import Bus
from habitus.events import Event
from habitus_console.demo import image
from habitus_console.demo.containerd import Containerd
from habitus_engines import Engine, dockerd, need, podman
from habitus_testing import ServiceProcess
from habitus_tidy import engine_folder

WEBAPP = "webapp:v1"
TOOLS = "registry.example:5000/team/tools:2"


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Image archives: the sandbox's, `webapp:v1`, and one of a registry with a port."""
    need("busybox", "bash-static")
    folder = tmp_path_factory.mktemp("images")
    try:
        standin = image.compile_standin(folder)
    except image.ImageFault as fault:
        pytest.skip(str(fault))
    files = {"bin/busybox": (image.program("busybox", "busybox-static").read_bytes(), 0o755)}
    tools = image.build(folder / "tools.tar", TOOLS, files, ["/bin/busybox", "true"])
    return [image.pause(folder, standin), image.webapp(folder, standin), tools]


@pytest.fixture
async def containerd(objects: Path, archives: list[Path]) -> AsyncIterator[Containerd]:
    need("containerd", "ctr", "runc")
    with engine_folder() as folder:
        async with Containerd(folder) as runtime:
            for archive in archives:
                await runtime.load(archive)
            yield runtime


@contextlib.contextmanager
def _running(engine: Engine, archives: list[Path]) -> Iterator[Engine]:
    try:
        engine.start()
        for archive in archives[1:]:
            engine.load(archive)
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def docker_engine(containerd: Containerd, archives: list[Path]) -> Iterator[Engine]:
    need("dockerd")
    with engine_folder() as folder, _running(dockerd(folder, containerd.socket), archives) as engine:
        yield engine


@pytest.fixture
def podman_engine(objects: Path, archives: list[Path]) -> Iterator[Engine]:
    need("podman", "conmon", "runc")
    with engine_folder() as folder, _running(podman(folder), archives) as engine:
        yield engine


class Seen:
    """The events that the collector published since the test began."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.events: list[Event] = []

    async def first_exec(self, container: str) -> Event:
        """Return the container's first program, waiting for it."""
        deadline = time.monotonic() + 15
        while not (found := [e for e in self.events if e.container.id == container and e.op == "exec"]):
            images = {event.container.image for event in self.events}
            assert time.monotonic() < deadline, f"no exec of {container[:12]}; events came of {images}"
            await self._take(1)
        return found[0]

    async def first(self, container: str, wanted: Callable[[Event], bool]) -> Event:
        """Return the container's first event that is wanted, waiting for it."""
        deadline = time.monotonic() + 15
        while not (found := [event for event in self.of(container) if wanted(event)]):
            assert time.monotonic() < deadline, f"of {container[:12]} came {self.of(container)}"
            await self._take(1)
        return found[0]

    def of(self, container: str) -> list[Event]:
        """Return what has come of a container."""
        return [event for event in self.events if event.container.id == container]

    async def quiet(self, seconds: float) -> None:
        """Take what comes within so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            await self._take(left)

    async def _take(self, seconds: float) -> None:
        with contextlib.suppress(NoMessage, asyncio.TimeoutError):
            message = await self._subscription.next_msg(timeout=seconds)
            self.events += wire.decode(wire.EventBatch, message.data).events


@pytest.fixture
async def seen(bus: Bus) -> Seen:
    return Seen(await bus.nc.subscribe("habitus.events.>"))


@pytest.fixture
def collect(
    serve: Callable[..., ServiceProcess], objects: Path, tmp_path: Path
) -> Callable[..., ServiceProcess]:
    """Start the collector; it knows no socket but those named here, beside other settings."""

    def start(**settings: object) -> ServiceProcess:
        absent: dict[str, object] = dict.fromkeys(
            ("cri_sockets", "docker_socket", "podman_socket"), tmp_path / "none.sock"
        )
        named = {f"HABITUS_COLLECTOR_{key.upper()}": str(value) for key, value in (absent | settings).items()}
        process = serve("collector", HABITUS_COLLECTOR_OBJECTS=str(objects), **named)
        assert process.child.poll() is None, process.said
        return process

    return start

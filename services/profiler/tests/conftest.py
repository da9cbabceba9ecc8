# SPDX-License-Identifier: Apache-2.0
"""A real nats-server, a real profiler process, and an embedder that speaks the real wire."""

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from zlib import crc32

import hypothesis
import numpy as np
import pytest

from habitus import asking, subjects, wire
from habitus.anomalies import Anomaly
from habitus.bus import Bus
from habitus.embedding import EmbedReply, EmbedRequest
from habitus.events import Container, Event, Process
from habitus.images import image_key, partition_of
from habitus.profiles import ProfileReply, ProfileRequest
from habitus.publish import EventPublisher
from habitus_testing import NatsServer

# Timings never decide a test.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

IMAGE = "webapp:v1"
DIMENSION = 512


def embedded(text: str) -> np.ndarray:
    """Return a unit vector of hashed character 3- and 4-grams: near texts are near."""
    row = np.zeros(DIMENSION, np.float32)
    for token in text.split():
        marked = f"<{token}>"
        for size in (3, 4):
            for at in range(max(1, len(marked) - size + 1)):
                row[crc32(marked[at : at + size].encode("utf-8", "replace")) % DIMENSION] += 1 / len(marked)
    norm = float(np.linalg.norm(row))
    return row / norm if norm else np.eye(1, DIMENSION, dtype=np.float32)[0]


@pytest.fixture
def vector_of():
    return embedded


@pytest.fixture
def make():
    """Make one exec event."""
    counter = iter(range(1, 1_000_000))

    def event(
        argv, *, parent="bash", exe=None, name=None, image=IMAGE, at=None, op="exec", event_id=None
    ) -> Event:
        number = next(counter)
        name = name or argv[0].rsplit("/", 1)[-1]
        return Event(
            ts=int((1_764_000_000 + (number if at is None else at)) * 1e9),
            class_="process",
            op=op,
            container=Container(image=image),
            process=Process(
                pid=number, exe=exe or f"/usr/bin/{name}", name=name, parent=parent, argv=list(argv)
            ),
            id=f"t-{number}" if event_id is None else event_id,
        )

    return event


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[NatsServer]:
    """One server for all tests here; `bus` wipes it."""
    started = NatsServer(tmp_path_factory.mktemp("nats"), "token")
    started.start()
    yield started
    started.stop()


@pytest.fixture
async def bus(server) -> AsyncIterator[Bus]:
    async with Bus(server.settings, "test") as bus:
        await _wiped(bus)
        yield bus
        await _wiped(bus)


async def _wiped(bus: Bus) -> None:
    for stream in await bus.js.streams_info():
        await bus.js.delete_stream(str(stream.config.name))
    await bus._ensure_streams()


class Embedder:
    """Answers `habitus.embed` while it is there; counts what it was asked."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._subscription = None
        self.texts: list[str] = []
        self.threshold = 0.65

    async def start(self) -> None:
        self._subscription = await self._bus.nc.subscribe(subjects.EMBED, "embedder", cb=self._answer)

    async def stop(self) -> None:
        if self._subscription:
            await self._subscription.unsubscribe()
            self._subscription = None

    async def _answer(self, message) -> None:
        request = wire.decode(EmbedRequest, message.data)
        self.texts += request.texts
        rows = np.stack([embedded(text) for text in request.texts]).astype("<f4")
        reply = EmbedReply(
            model="test", dimension=DIMENSION, threshold=self.threshold, vectors=rows.tobytes()
        )
        await message.respond(wire.encode(reply))


@pytest.fixture
async def embedder(bus) -> AsyncIterator[Embedder]:
    served = Embedder(bus)
    await served.start()
    yield served
    await served.stop()


class Stack:
    """A profiler process and what a test does with it."""

    def __init__(self, bus: Bus, server: NatsServer, log: Path) -> None:
        self.bus, self._server, self._log = bus, server, log
        self.publisher = EventPublisher(bus, "n1", batch_events=20)
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self, **settings: object) -> None:
        values = {"partitions": "0-31", "window_s": 3600, "snapshot_s": 0.2, "guard": "off", **settings}
        environment = self._server.environment
        environment |= {f"HABITUS_PROFILER_{key.upper()}": str(value) for key, value in values.items()}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220  # starts at once
                [sys.executable, "-m", "habitus_profiler"], env=environment, stderr=log
            )
        for _ in range(600):
            with contextlib.suppress(TimeoutError):
                await self.bus.request("$SRV.PING.habitus-profiler", b"", 0.5)
                return
            assert self.process.poll() is None, self.log()
            await asyncio.sleep(0.05)
        raise AssertionError("the profiler does not start")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)

    def stop(self) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait(20)

    def log(self) -> str:
        return self._log.read_text()

    async def feed(self, events) -> int:
        """Publish and return the newest sequence in EVENTS."""
        for event in events:
            self.publisher.add(event)
        await self.publisher.flush()
        return max(self.publisher.last_sequence.values())

    async def ask(self, operation: str, image: str = IMAGE, timeout=30.0, **fields) -> ProfileReply:  # noqa: ASYNC109
        partition = partition_of(image_key(image))
        return await asking.ask(self.bus, operation, partition, ProfileRequest(**fields), timeout)

    async def anomalies(self) -> list[Anomaly]:
        """Return every anomaly in the stream."""
        state = (await self.bus.js.stream_info(subjects.ANOMALIES)).state
        messages = [
            await self.bus.js.get_msg(subjects.ANOMALIES, sequence)
            for sequence in range(max(state.first_seq, 1), state.last_seq + 1)
        ]
        return [wire.decode(Anomaly, message.data) for message in messages]

    async def until(self, seen, timeout=30.0) -> None:  # noqa: ASYNC109
        """Wait until `seen()` holds."""
        deadline = time.monotonic() + timeout
        while not await seen():
            assert time.monotonic() < deadline, self.log()
            await asyncio.sleep(0.02)


@pytest.fixture
async def stack(bus, server, tmp_path) -> AsyncIterator[Stack]:
    running = Stack(bus, server, tmp_path / "profiler.log")
    yield running
    running.kill()
    assert not re.search(r"Traceback", running.log()), running.log()

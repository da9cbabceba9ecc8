# SPDX-License-Identifier: Apache-2.0
"""A real nats-server on a free port, and real embedder processes beside it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NATS_SERVER = Path(sys.executable).with_name("nats-server")
PATIENCE_S = 30


@dataclass
class Process:
    """A running service, what it said so far, and where its HTTP face is."""

    child: subprocess.Popen[bytes]
    log: Path
    address: str

    def end(self) -> tuple[int, str]:
        self.child.terminate()
        return self.child.wait(PATIENCE_S), self.log.read_text()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def child(command: list[str], log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("HABITUS_")}
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=env | settings) as started,
    ):
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    ports = tmp_path / "ports"
    ports.mkdir()
    command = [str(NATS_SERVER), "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(ports)]
    with child([*command, "-js", "-sd", str(tmp_path / "js")], tmp_path / "nats.log") as server:
        until(lambda: any(path.stat().st_size for path in ports.glob("*.ports")))
        yield server, json.loads(next(ports.glob("*.ports")).read_text())["nats"][0]


@pytest.fixture
def nats_url(nats_server) -> str:
    return nats_server[1]


@pytest.fixture
def start(tmp_path: Path, nats_url: str) -> Iterator[Callable[..., Process]]:
    """Start `python -m habitus_embedder` with settings, and wait until it is ready."""
    with ExitStack() as stack:

        def started(name: str = "embedder", **settings: str) -> Process:
            log = tmp_path / f"{name}.log"
            command = [sys.executable, "-m", "habitus_embedder"]
            wanted = {"HABITUS_NATS_URL": nats_url, "HABITUS_EMBEDDER_PORT": "0"} | settings
            process = stack.enter_context(child(command, log, **wanted))
            until(lambda: "embedder: ready" in log.read_text() or process.poll() is not None)
            found = re.search(r"listening on (\S+)", log.read_text())
            return Process(process, log, found[1] if found else "")

        yield started

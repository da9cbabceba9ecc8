# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "samples" / "webapp"


@pytest.fixture
def habitus(tmp_path):
    """Run the `habitus` command to its end; state in a folder of this test."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            env={**os.environ, "HABITUS_CONSOLE_STATE": str(tmp_path / "state"), **environment},
        )

    return run


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "habitus_console", *map(str, arguments)]


class Up:
    """A running `habitus up` of this test's own."""

    def __init__(self, folder: Path, *arguments: object, **environment: str) -> None:
        self.state = folder / "state"
        self.said = folder / "said"
        variables = {
            "HABITUS_CONSOLE_STATE": str(self.state),
            "HABITUS_EMBEDDER_PORT": "0",
            "HABITUS_LLM_PORT": "0",
            "HABITUS_CONSOLE_PORT": "0",
        }
        self.environment = {**os.environ, **variables, **environment}
        from_here = command("up", *arguments)
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(from_here, stdout=out, stderr=out, env=self.environment)

    def wait_for(self, text: str, timeout: float = 60) -> str:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            said = self.said.read_text()
            if text in " ".join(said.split()):
                return said
            assert self.process.poll() is None, said
            time.sleep(0.1)
        raise AssertionError(self.said.read_text())

    def until(self, holds: Callable[[], object], timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.2)

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def interrupt(self, signum: int = signal.SIGINT) -> int:
        self.process.send_signal(signum)
        return self.process.wait(30)


@pytest.fixture
def up(tmp_path):
    running: list[Up] = []

    def start(*arguments: object, **environment: str) -> Up:
        running.append(Up(tmp_path, *arguments, **environment))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()

# SPDX-License-Identifier: Apache-2.0
"""What every test shares: a real nats-server, and the rule that a skip is no pass where it matters."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from habitus.bus import Bus
from habitus.settings import NatsSettings

REFUSE_SKIPS = os.environ.get("HABITUS_TEST_SKIPS") == "refuse"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where skips are refused, a skipped test fails and shows the reason of the skip."""
    report = yield
    if REFUSE_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where a skip is refused: {item.nodeid}: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith("HABITUS_") and not variable.startswith("HABITUS_TEST_"):
            monkeypatch.delenv(variable)


@dataclass
class NatsServer:
    """A real nats-server on a free port of the loopback, with a token; it can be killed and come back."""

    folder: Path
    token: str
    port: int = -1
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> NatsSettings:
        return NatsSettings(url=f"nats://127.0.0.1:{self.port}", token=self.token, connect_timeout_s=5)

    @property
    def environment(self) -> dict[str, str]:
        """What a service process needs to find this server."""
        return {**os.environ, "HABITUS_NATS_URL": self.settings.url, "HABITUS_NATS_TOKEN": self.token}

    def start(self) -> None:
        ports = self.folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        binary = Path(sys.executable).parent / "nats-server"
        command = [str(binary), "-a", "127.0.0.1", "-p", str(self.port), "--auth", self.token, "-js"]
        command += ["-sd", str(self.folder / "streams"), "--ports_file_dir", str(ports)]
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for file in ports.glob("*.ports"):
                try:
                    url = json.loads(file.read_text())["nats"][0]
                except ValueError:
                    continue
                self.port = int(url.rsplit(":", 1)[1])
                return
            time.sleep(0.01)
        raise AssertionError((self.folder / "nats.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats", secrets.token_urlsafe(8))
    server.folder.mkdir()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with Bus(nats_server.settings, "test") as connected:
        yield connected

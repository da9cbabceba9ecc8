# SPDX-License-Identifier: Apache-2.0
"""A real nats-server and real service processes, for the tests of every service."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from habitus.settings import NatsSettings

PATIENCE_S = 30


def until(holds: Callable[[], object], otherwise: Callable[[], str] = lambda: "waited in vain") -> None:
    """Wait until `holds()`; fail with what `otherwise()` tells when it does not within 30 s."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)


async def eventually(
    holds: Callable[[], object], otherwise: Callable[[], str] = lambda: "waited in vain"
) -> None:
    """`until`, while the event loop goes on."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        await asyncio.sleep(0.02)


@dataclass
class NatsServer:
    """A nats-server on a free port of the loopback, with a token; it can be killed and come back."""

    folder: Path
    token: str
    port: int = -1
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> NatsSettings:
        return NatsSettings(url=f"nats://127.0.0.1:{self.port}", token=self.token, connect_timeout_s=5)

    @property
    def environment(self) -> dict[str, str]:
        """What a service process needs to find this server, and no setting of the caller's."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HABITUS_")}
        return kept | {
            "HABITUS_NATS_URL": self.settings.url,
            "HABITUS_NATS_TOKEN": self.token,
            "HABITUS_COLLECTOR_SPOOL": str(self.folder / "spool"),
        }

    def start(self, *more: str) -> None:
        ports = self.folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        binary = Path(sys.executable).parent / "nats-server"
        command = [str(binary), "-a", "127.0.0.1", "-p", str(self.port), "--auth", self.token, "-js"]
        command += ["-sd", str(self.folder / "streams"), "--ports_file_dir", str(ports), *more]
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: self._told(ports), (self.folder / "nats.log").read_text)

    def _told(self, ports: Path) -> bool:
        for file in ports.glob("*.ports"):
            try:
                url = json.loads(file.read_text())["nats"][0]
            except ValueError:  # half written
                continue
            self.port = int(url.rsplit(":", 1)[1])
            return True
        return False

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(10)
            self.process = None


@dataclass
class ServiceProcess:
    """A running `python -m habitus_<service>` and what it said so far."""

    child: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def address(self) -> str:
        """Where its HTTP face is; empty when it has none."""
        found = re.search(r"listening on (\S+)", self.said)
        return found[1] if found else ""

    def end(self) -> tuple[int, str]:
        """Ask it to end; return its exit code and all that it said."""
        self.child.terminate()
        return self.child.wait(PATIENCE_S), self.said

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()


_MODULES = {"console": "habitus_console.service"}  # `habitus_console` itself is the command


def start_service(service: str, environment: dict[str, str], log: Path, **settings: str) -> ServiceProcess:
    """Start a service and return when it is ready, or has ended; settings are HABITUS_ variables."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", _MODULES.get(service, f"habitus_{service.replace('-', '_')}")],
            stdout=out,
            stderr=out,
            env=environment | settings,
        )
    process = ServiceProcess(child, log)
    ready = f"habitus.{service}: ready"
    until(lambda: ready in process.said or child.poll() is not None, lambda: process.said)
    return process

# SPDX-License-Identifier: Apache-2.0
"""A real nats-server a test, and the scorer's own process on it."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from habitus.bus import Bus
from habitus.settings import NatsSettings

# pytest imports each test file by itself (importlib): their shared module is found here.
sys.path.insert(0, str(Path(__file__).parent))

SERVER = Path(sys.executable).parent / "nats-server"


@pytest.fixture
async def nats_url(tmp_path: Path) -> AsyncIterator[str]:
    """A private nats-server with JetStream on a free port."""
    binary = str(SERVER) if SERVER.exists() else shutil.which("nats-server")
    assert binary, "nats-server is missing: install habitus[server]"
    ports = tmp_path / "ports"
    ports.mkdir()
    log = (tmp_path / "nats.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *(binary, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(ports)),
        *("-js", "-sd", str(tmp_path / "jetstream")),
        stdout=log,
        stderr=log,
    )
    try:
        yield await _url(ports)
    finally:
        process.terminate()
        await process.wait()
        log.close()


async def _url(ports: Path) -> str:
    while True:
        for file in ports.glob("*.ports"):
            text = file.read_text()
            if text.strip().endswith("}"):
                return json.loads(text)["nats"][0]
        await asyncio.sleep(0.02)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with Bus(NatsSettings(url=nats_url), "test") as connected:
        yield connected


@pytest.fixture
def environment(nats_url: str) -> dict[str, str]:
    """The environment of a scorer process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HABITUS_")}
    return kept | {"HABITUS_NATS_URL": nats_url}

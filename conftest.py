# SPDX-License-Identifier: Apache-2.0
"""What every test shares: a real nats-server, and the rule that a skip is no pass where it matters."""

import logging
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest

from habitus.bus import Bus
from habitus_testing import NatsServer, ServiceProcess, start_service

# A shell lets what it puts in the background ignore interrupts, and so would what a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

REFUSE_SKIPS = os.environ.get("TEST_SKIPS") == "refuse"


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
        if variable.startswith("HABITUS_"):
            monkeypatch.delenv(variable)


@pytest.fixture(autouse=True)
def _no_log_set_up_by_another_test() -> Iterator[None]:
    """What a command's `main` sets up for its process ends with the test that called it."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


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


@pytest.fixture
def serve(nats_server: NatsServer, tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Start services on this test's nats-server: `serve("embedder", HABITUS_…="…")`."""
    started: list[ServiceProcess] = []

    def one(service: str, **settings: str) -> ServiceProcess:
        log = tmp_path / f"{service}-{len(started)}.log"
        started.append(start_service(service, nats_server.environment, log, **settings))
        return started[-1]

    yield one
    for process in started:
        process.kill()

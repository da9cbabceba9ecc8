# SPDX-License-Identifier: Apache-2.0
"""Databases of both kinds, and the alert store's service on this test's nats-server."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from habitus_postgres import Postgres, postgres
from habitus_testing import ServiceProcess

sys.path.insert(0, str(Path(__file__).parent))  # what these tests share: console_making


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: each test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/alerts.db"
    return request.getfixturevalue("postgresql").database()


@pytest.fixture
def console(serve: Callable[..., ServiceProcess], tmp_path: Path) -> Callable[..., ServiceProcess]:
    """Start the alert store's service, its API on a free port."""
    import console_making  # noqa: PLC0415 - found by the path above

    defaults = {
        "HABITUS_CONSOLE_PORT": "0",
        "HABITUS_CONSOLE_TOKEN": console_making.TOKEN,
        "HABITUS_CONSOLE_STATE": str(tmp_path / "state"),
    }
    return lambda **settings: serve("console", **(defaults | settings))

# SPDX-License-Identifier: Apache-2.0
"""Real embedder processes on this test's nats-server."""

from collections.abc import Callable

import pytest

from habitus_testing import ServiceProcess


@pytest.fixture
def start(serve: Callable[..., ServiceProcess]) -> Callable[..., ServiceProcess]:
    """Start `python -m habitus_embedder` with settings, its HTTP on a free port."""
    return lambda **settings: serve("embedder", **({"HABITUS_EMBEDDER_PORT": "0"} | settings))

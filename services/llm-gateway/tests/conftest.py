# SPDX-License-Identifier: Apache-2.0
"""Real gateway processes on this test's nats-server."""

from collections.abc import Callable

import pytest

from habitus_testing import ServiceProcess


@pytest.fixture
def start(serve: Callable[..., ServiceProcess]) -> Callable[..., ServiceProcess]:
    """Start `python -m habitus_llm_gateway` with settings, its HTTP on a free port."""
    return lambda **settings: serve("llm-gateway", **({"HABITUS_LLM_PORT": "0"} | settings))

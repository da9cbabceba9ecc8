# SPDX-License-Identifier: Apache-2.0
"""Real gateway processes on this test's nats-server, and the server that stands for the paid providers."""

import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from habitus_testing import ServiceProcess

# Timings never decide a test.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

sys.path.insert(0, str(Path(__file__).parent))  # what these tests share: gateway_wire, gateway_making


@pytest.fixture
def start(serve: Callable[..., ServiceProcess]) -> Callable[..., ServiceProcess]:
    """Start `python -m habitus_llm_gateway` with settings, its HTTP on a free port."""
    return lambda **settings: serve("llm-gateway", **({"HABITUS_LLM_PORT": "0"} | settings))

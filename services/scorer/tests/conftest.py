# SPDX-License-Identifier: Apache-2.0
"""The scorer's own process runs on this test's nats-server."""

import pytest

from habitus_testing import NatsServer


@pytest.fixture
def environment(nats_server: NatsServer) -> dict[str, str]:
    """The environment of a scorer process."""
    return nats_server.environment

# SPDX-License-Identifier: Apache-2.0
"""What tests share that make containers."""

import os

import pytest

from habitus_console.demo import own_pods


@pytest.fixture(scope="session", autouse=True)
def _no_leftovers() -> None:
    """Containers that a killed run of these tests left would be taken for this run's."""
    if os.geteuid() == 0:
        assert own_pods.clear_leftovers() == []

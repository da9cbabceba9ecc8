# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "samples" / "webapp"


@pytest.fixture
def habitus(tmp_path):
    """Run the `habitus` command to its end; state in a folder of this test."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            env={**os.environ, "HABITUS_CONSOLE_STATE": str(tmp_path / "state"), **environment},
        )

    return run


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "habitus_console", *map(str, arguments)]

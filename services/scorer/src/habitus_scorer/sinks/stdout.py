# SPDX-License-Identifier: Apache-2.0
"""One alert a line on stdout, as JSON that a terminal shows literally."""

import sys
from collections.abc import Mapping
from typing import Any

from habitus.alerts import Alert
from habitus.text import safe_json


class StdoutSink:
    """Writes JSON Lines to stdout."""

    name = "stdout"

    def __init__(self, settings: Mapping[str, Any]) -> None:
        del settings

    async def send(self, alert: Alert) -> None:
        """Write one line."""
        sys.stdout.write(safe_json(alert.model_dump_json()) + "\n")
        sys.stdout.flush()

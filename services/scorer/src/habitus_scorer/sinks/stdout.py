# SPDX-License-Identifier: Apache-2.0
"""One alert a line on stdout, as JSON that a terminal shows literally."""

import sys

from habitus.alerts import Alert
from habitus.sections import Section
from habitus.sinks import SinkServices
from habitus.text import safe_json


class StdoutSink:
    """Writes JSON Lines to stdout."""

    def __init__(self, services: SinkServices) -> None:
        services.checked(Section)

    async def send(self, alert: Alert) -> None:
        """Write one line."""
        sys.stdout.write(safe_json(alert.model_dump_json()) + "\n")
        sys.stdout.flush()

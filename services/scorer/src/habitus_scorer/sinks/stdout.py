# SPDX-License-Identifier: Apache-2.0
"""One alert a line on stdout, as JSON that a terminal shows literally."""

import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from habitus.alerts import Alert
from habitus.text import printable

_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e]")


class StdoutSink:
    """Writes JSON Lines to stdout."""

    name = "stdout"

    def __init__(self, settings: Mapping[str, Any]) -> None:
        del settings

    async def send(self, alert: Alert) -> None:
        """Write one line."""
        sys.stdout.write(safe_json(alert.model_dump_json()) + "\n")
        sys.stdout.flush()


def safe_json(text: str) -> str:
    r"""Return JSON that means the same, with control, format and direction characters as `\uXXXX`."""
    return _NOT_ASCII.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if printable(character) == character:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))

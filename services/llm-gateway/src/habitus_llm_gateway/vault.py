# SPDX-License-Identifier: Apache-2.0
"""Keeps what was redacted, in memory only, for the reader who has the right.

The right is a token in a file (`llm.reveal_token_file`). Without one nothing is kept at all.
"""

import hmac
import secrets
import time
from collections import OrderedDict
from pathlib import Path
from typing import Final

from habitus.plugins import PluginFault

_MOST: Final = 1024
_KEPT_S: Final = 86_400
_SHORTEST_TOKEN: Final = 16


class Vault:
    """Redacted secrets by the number of their question.

    Args:
        token: the reader's; None keeps nothing.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._kept: OrderedDict[str, tuple[float, dict[str, str]]] = OrderedDict()

    @classmethod
    def opened(cls, file: Path | None) -> "Vault":
        """Return the vault whose token `file` holds.

        Raises:
            PluginFault: the file cannot be read or its token is too short.
        """
        if file is None:
            return cls(None)
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PluginFault(f"llm.reveal_token_file {file}: {type(error).__name__}") from None
        if len(token) < _SHORTEST_TOKEN:
            raise PluginFault(
                f"llm.reveal_token_file {file}: a token has at least {_SHORTEST_TOKEN} characters"
            )
        return cls(token)

    def keep(self, found: dict[str, str]) -> str:
        """Keep placeholder → secret; return the number to ask for, or nothing when nothing is kept."""
        if self._token is None or not found:
            return ""
        number = secrets.token_urlsafe(12)
        self._kept[number] = (time.monotonic() + _KEPT_S, found)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return number

    def may_read(self, token: str) -> bool:
        """Tell whether `token` is the reader's."""
        return self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())

    def read(self, number: str) -> dict[str, str] | None:
        """Return placeholder → secret, or None when they are not kept (any more)."""
        until, found = self._kept.get(number, (0.0, {}))
        if until < time.monotonic():
            self._kept.pop(number, None)
            return None
        return found

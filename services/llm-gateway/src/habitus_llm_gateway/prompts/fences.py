# SPDX-License-Identifier: Apache-2.0
"""The random code that fences the data of one question: another each time, and never one that they hold.

A large model gets 64 random bits. A small one loses its way in them (docs/decisions/0027), so it gets an
everyday word, one token long. Either way the code is drawn when the data are known, until one is found
that is not in them: who writes the data cannot write it, however well they guess.
"""

import secrets
from itertools import count
from pathlib import Path
from typing import Final

from habitus_llm_gateway.providers import Style

_TRIES: Final = 8
"""Words drawn before the code gets one word more: data that hold many words run out of pairs."""

_WORDS: Final = tuple(Path(__file__).with_name("words.txt").read_text(encoding="ascii").split())


def drawn(style: Style, data: str) -> str:
    """Return a new code that does not occur in `data`, in upper case or lower."""
    held = data.casefold()
    for tries in count():
        code = _word(1 + tries // _TRIES) if style == "small" else f"data-{secrets.token_hex(8)}"
        if code not in held:
            return code
    raise AssertionError  # `count` does not end


def _word(length: int) -> str:
    return "-".join(secrets.choice(_WORDS) for _ in range(length))

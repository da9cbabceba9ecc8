# SPDX-License-Identifier: Apache-2.0
"""Tells encoded text from plain: base64, JSON web tokens, long hex, escaped bytes."""

import re
from typing import Final

from habitus_profiler.volatile import COMPACT, ISO

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}\Z")
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?\Z")
_HEX_RUN: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2}){4,}|[0-9a-fA-F]{65,}")
_INSTANT: Final = re.compile(rf"(?<![0-9A-Za-z])(?:{COMPACT}|{ISO})(?![0-9A-Za-z])")
_SHORTEST_RUN: Final = 20


def blob_kind(token: str) -> str | None:
    """Return `hex`, `jwt` or `base64` when the token holds an encoded blob, else None."""
    if _HEX_RUN.search(token):
        return "hex"
    if _JWT.match(token):
        return "jwt"
    return "base64" if is_base64(token) else None


def is_base64(token: str) -> bool:
    """Say whether a token is base64 and no path or plain word: mixed case, and digits or padding."""
    if token.startswith(("/", ".", "~")) or _BASE64.match(token) is None:
        return False
    if _INSTANT.search(token):  # `orders-20261107T202315Z` is a name
        return False
    mixed = any(map(str.isupper, token)) and any(map(str.islower, token))
    if "/" in token and max(map(len, token.split("/"))) < _SHORTEST_RUN and not token.endswith("="):
        return False
    return mixed and (any(map(str.isdigit, token)) or token.endswith("="))

# SPDX-License-Identifier: Apache-2.0
"""Makes hostile text safe to show: everything observed may carry control or direction characters."""

import re
import unicodedata
from typing import Final

# Cc control, Cf format (bidi marks, zero width), Cs surrogate, Co private, Cn unassigned,
# Zl/Zp line and paragraph separators: none of them may reach a terminal or a log raw.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e]")


def printable(text: str, limit: int | None = None) -> str:
    r"""Return `text` with every unsafe character escaped (`\x1b`, `\u202e`), cut to `limit`.

    The result has no control, format, surrogate or unassigned character, so a terminal shows it
    literally. A cut is marked by `…`.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _UNSAFE_CATEGORIES:
        return character.encode("unicode_escape").decode("ascii")
    return character


def decoded(raw: bytes) -> str:
    r"""Return bytes from the kernel as text; bytes that are not UTF-8 become `\xNN`, none is lost."""
    return raw.decode("utf-8", errors="backslashreplace")


def safe_json(text: str) -> str:
    r"""Return JSON that means the same, with control, format and direction characters as `\uXXXX`.

    `text` is of one line: in JSON a line's end between values means nothing, and it would be escaped too.
    """
    return _NOT_ASCII.sub(_json_escaped, text)


def _json_escaped(match: re.Match[str]) -> str:
    character = match[0]
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))

# SPDX-License-Identifier: Apache-2.0
"""Makes hostile text safe to show: everything observed may carry control or direction characters."""

import unicodedata

# Cc control, Cf format (bidi marks, zero width), Cs surrogate, Co private, Cn unassigned,
# Zl/Zp line and paragraph separators: none of them may reach a terminal or a log raw.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


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

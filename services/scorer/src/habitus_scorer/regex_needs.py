# SPDX-License-Identifier: Apache-2.0
"""The literals without which a regular expression cannot match, from the tree that Python parses it into.

The parser is the standard library's own but not documented: what it gives that is not known here
counts as nothing needed.
"""

import re
from collections.abc import Iterable
from re import _parser  # type: ignore[attr-defined]  # typeshed does not know it
from typing import Any, Final

from habitus_scorer.needs import Needs, Source, either, every, needed

_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


def needs_of(source: Source, pattern: re.Pattern[str]) -> Needs:
    """Return what must occur in a value of the field for `pattern` to match anywhere in it."""
    tree = _parser.parse(pattern.pattern, pattern.flags)
    return _sequence(source, tree, pattern.flags)


def _sequence(source: Source, items: Iterable[tuple[Any, Any]], flags: int) -> Needs:
    found: list[Needs] = []
    run = ""
    for code, value in items:
        name = str(code)
        if name == "LITERAL" and _is_plain(value, flags):
            run += chr(value)
        elif name != "AT":  # a place has no width: what stands on both sides of it is one run
            found += [needed(source, run), _item(source, name, value, flags)]
            run = ""
    return every([*found, needed(source, run)])


def _is_plain(code: int, flags: int) -> bool:
    # A newline may be the seam of a text that was cut. Without regard to case other alphabets have
    # equivalents that folding does not know.
    return code != ord("\n") and (code < 128 or not flags & re.IGNORECASE)


def _item(source: Source, name: str, value: Any, flags: int) -> Needs:
    if name == "BRANCH":
        return either(_sequence(source, branch, flags) for branch in value[1])
    if name == "SUBPATTERN":
        _, added, dropped, inner = value
        return _sequence(source, inner, (flags | added) & ~dropped)
    if name == "ATOMIC_GROUP":
        return _sequence(source, value, flags)
    if name in _REPEATS and value[0] > 0:
        return _sequence(source, value[2], flags)
    return ()

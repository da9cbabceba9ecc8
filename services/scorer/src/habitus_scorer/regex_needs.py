# SPDX-License-Identifier: Apache-2.0
"""The literals without which a regular expression cannot match, from the tree that Python parses it into.

A run of characters of which every one is one of a few is a handful of texts, one of which must occur:
`/s?bin/[ab]` is one of four. What has no such bound ends a run.

The parser is the standard library's own but not documented: what it gives that is not known here
counts as nothing needed.
"""

import re
from collections.abc import Iterable
from re import _parser  # type: ignore[attr-defined]  # typeshed does not know it
from typing import Any, Final

from habitus_scorer.needs import Needs, Source, either, every, needed

Item = tuple[Any, Any]

_TEXTS: Final = 48
"""A run of more texts than that is ended."""
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_NOTHING: Final = frozenset({""})


def needs_of(source: Source, pattern: re.Pattern[str]) -> Needs:
    """Return what must occur in a value of the field for `pattern` to match anywhere in it."""
    return _sequence(source, _parser.parse(pattern.pattern, pattern.flags), pattern.flags)


def _sequence(source: Source, items: Iterable[Item], flags: int) -> Needs:
    found: list[Needs] = []
    run = _NOTHING
    for item in items:
        texts = _texts(item, flags)
        longer = texts and _joined(run, texts)
        if longer:
            run = longer
            continue
        found.append(_one_of(source, run))
        run = texts or _NOTHING
        if not texts:
            found.append(_inside(source, item, flags))
    return every([*found, _one_of(source, run)])


def _one_of(source: Source, texts: Iterable[str]) -> Needs:
    return either(needed(source, text) for text in texts)


def _joined(heads: frozenset[str], tails: frozenset[str]) -> frozenset[str] | None:
    if len(heads) * len(tails) > _TEXTS:
        return None
    return frozenset(head + tail for head in heads for tail in tails)


def _inside(source: Source, item: Item, flags: int) -> Needs:
    """Return the needs of what is no handful of texts itself, by its parts."""
    code, value = item
    name = str(code)
    if name == "BRANCH":
        return either(_sequence(source, branch, flags) for branch in value[1])
    if name == "SUBPATTERN":
        return _sequence(source, value[3], _within(flags, value))
    if name == "ATOMIC_GROUP":
        return _sequence(source, value, flags)
    if name in _REPEATS and value[0] > 0:
        return _sequence(source, value[2], flags)
    return ()


def _texts(item: Item, flags: int) -> frozenset[str] | None:
    """Return all texts that one item can match; None: too many, or not to be told."""
    code, value = item
    name = str(code)
    if name == "AT":  # a place has no width: what stands on both sides of it is one run
        return _NOTHING
    if name in {"LITERAL", "IN"}:
        return _of_class(value if name == "IN" else [item], flags)
    if name == "BRANCH":
        return _united([_texts_of(branch, flags) for branch in value[1]])
    if name == "SUBPATTERN":
        return _texts_of(value[3], _within(flags, value))
    if name in _REPEATS and value[0] in {0, 1} and value[1] == 1:
        return _united([_texts_of(value[2], flags), _NOTHING if value[0] == 0 else frozenset()])
    return None


def _texts_of(items: Iterable[Item], flags: int) -> frozenset[str] | None:
    run: frozenset[str] | None = _NOTHING
    for item in items:
        texts = _texts(item, flags)
        run = _joined(run, texts) if run and texts else None
        if run is None:
            return None
    return run


def _of_class(members: Iterable[Item], flags: int) -> frozenset[str] | None:
    codes: list[int] = []
    for code, value in members:
        name = str(code)
        if name == "LITERAL":
            codes.append(value)
        elif name == "RANGE" and value[1] - value[0] < _TEXTS:
            codes += range(value[0], value[1] + 1)
        else:
            return None
    if len(codes) > _TEXTS or not all(_is_plain(code, flags) for code in codes):
        return None
    return frozenset(map(chr, codes))


def _united(parts: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    together: set[str] = set()
    for part in parts:
        if part is None:
            return None
        together |= part
    return frozenset(together) if len(together) <= _TEXTS else None


def _is_plain(code: int, flags: int) -> bool:
    # A newline may be the seam of a text that was cut. Without regard to case other alphabets have
    # equivalents that folding does not know.
    return code != ord("\n") and (chr(code).isascii() or not flags & re.IGNORECASE)


def _within(flags: int, group: Any) -> int:
    _, added, dropped, _ = group
    return (flags | int(added)) & ~int(dropped)

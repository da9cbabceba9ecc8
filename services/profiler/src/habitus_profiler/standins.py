# SPDX-License-Identifier: Apache-2.0
"""Puts one fixed id in the place of every id of its kind, so that what was read once need not be read again.

Reading a command line costs tens of microseconds, and one that carries a new id was never read before. A hex
id of eight and more digits, or a uuid, has its type for normal text wherever it stands, so any other one of
its length gives the same result, and that result can be kept; so has, in a path, a number of four and more
digits that stands by itself. Where it does not have its type (a domain that somebody owns, a name below
/etc), the fixed id shows up in the result: `shows` tells, and then the text itself has to be read. Everything
else (numbers in command lines, dates, short ids) stays, for it may mean several things.
"""

import re
from typing import Final

_TAIL: Final = "f3ac1e59b204d6a8c1f5e0a7b3d9c2e46a1f08bd5739ce2107bfa64d8e35c9a"
_MARK: Final = _TAIL[:3]
_HEX: Final = {
    digit: [(digit + _TAIL)[:length] for length in range(len(_TAIL) + 2)] for digit in "7c"
}  # digit → length → id
_UUID: Final = {digit: f"{digit}f3ac1e5-9b20-4d6a-8c1f-5e0a7b3d9c2e" for digit in "7c"}
_MIDDLES: Final = ("9b20", "4d6a", "8c1f")
_UUID_LENGTH: Final = 36
_ID_LENGTH: Final = 8
_BYTES: Final = {
    ord(digit): [_UUID[first].encode(), *(each.encode() for each in _HEX[first][1:])]
    for digit in "0123456789abcdef"
    for first in ("7" if digit.isdigit() else "c")
}  # first digit → length → id; 0: a uuid

_LONGEST: Final = 64
_NUMBER: Final = "7391846250" * (1 + _LONGEST // 10)
"""No date, however much of it is taken."""
_NUMBERS: Final = [_NUMBER[:length] for length in range(_LONGEST + 1)]
_NUMBER_MARK: Final = _NUMBERS[4]

# Both begin with a set of letters, for that is found faster than a place; so what may not stand before
# an id is looked for from behind. Not behind a dot (`1.5e12345678`), nor first behind a dash (`-a1234567`
# is a flag with its value).
_D: Final = "[0-9a-f]"
_UUID_TAIL: Final = rf"-{_D}{{4}}-{_D}{{4}}-{_D}{{4}}-{_D}{{12}}"
_ID: Final = re.compile(
    rf"{_D}{{8}}(?<![0-9A-Za-z.]{_D}{{8}})(?<![^0-9A-Za-z]-{_D}{{8}})"
    rf"(?:{_UUID_TAIL}|{_D}{{0,56}})(?![0-9A-Za-z])"
)
# The same in msgpack, where the length of a string, which may look like a letter, stands before it.
_PACKED: Final = re.compile(
    rf"{_D}{{8}}(?:(?<![0-9A-Za-z.]{_D}{{8}})|(?<=\xd9[0-9A-Za-z.]{_D}{{8}}))(?<![\xd9\xda]{_D}{{8}})"
    rf"(?<!\xda.{_D}{{8}})(?<![^0-9A-Za-z]-{_D}{{8}})(?<!\xd9.-{_D}{{8}})(?<!\xda..-{_D}{{8}})"
    rf"(?:{_UUID_TAIL}|{_D}{{0,56}})(?![0-9A-Za-z])".encode("latin-1"),
    re.DOTALL,
)
_IN_PATH: Final = re.compile(
    rf"{_D}{{4}}(?<![0-9A-Za-z.]{_D}{{4}})(?<![^0-9A-Za-z]-{_D}{{4}})"
    rf"(?:{_D}{{4}}{_UUID_TAIL}|{_D}{{0,60}})(?![0-9A-Za-z])"
)
_TELLING: Final = frozenset("acef")
"""One of these at least: else it may be a size (`1234567b`) or a duration (`1234567d`)."""
_TELLING_BYTES: Final = frozenset(b"acef")
_DIGITS: Final = frozenset("0123456789")
_DIGIT_BYTES: Final = frozenset(b"0123456789")
_JOINS: Final = frozenset("-_.")
_GENERATED_LENGTH: Final = 5


def stood_in(text: str) -> str:
    """Return `text` with the fixed id in the place of each hex id and uuid, as long as before."""
    return _ID.sub(_fixed, text)


def stood_in_path(path: str) -> str:
    """Return a path with the fixed ids, and with the fixed number in the place of each number by itself."""
    return _IN_PATH.sub(_fixed_in_path, path)


def stood_in_packed(packed: bytes) -> bytes:
    """Return an argument vector as msgpack with the fixed ids, as `stood_in` has them in its words.

    An id is as long as before, so that the lengths in it stay true.
    """
    return _PACKED.sub(_fixed_bytes, packed)


def shows(text: str) -> bool:
    """Say whether the fixed id or number, or what a cut has left of it, may stand in a result."""
    return _MARK in text or _NUMBER_MARK in text or any(part in text for part in _MIDDLES)


def _fixed(match: re.Match[str]) -> str:
    found = match[0]
    if _TELLING.isdisjoint(found) or _DIGITS.isdisjoint(found):
        return found
    first = "7" if found[0].isdigit() else "c"  # a name may begin with a letter only
    length = len(found)
    return _UUID[first] if length == _UUID_LENGTH and "-" in found else _HEX[first][length]


def _fixed_bytes(match: re.Match[bytes]) -> bytes:
    found = match[0]
    if _TELLING_BYTES.isdisjoint(found) or _DIGIT_BYTES.isdisjoint(found):
        return found
    length = len(found)
    return _BYTES[found[0]][0 if length == _UUID_LENGTH and b"-" in found else length]


def _fixed_in_path(match: re.Match[str]) -> str:
    found = match[0]
    if not found.isdigit():
        return _fixed(match) if len(found) >= _ID_LENGTH else found
    return found if _is_part(match) else _NUMBERS[len(found)]


def _is_part(match: re.Match[str]) -> bool:
    """Say whether a number is part of a date, a version or a generated name, by what stands beside it."""
    text, start, end = match.string, match.start(), match.end()
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return (
        (before[-1:] in _JOINS and before[:1].isdigit())
        or (after[:1] in _JOINS and after[1:].isdigit())
        or (before[-1:] == "-" and (end - start == _GENERATED_LENGTH or after[:1] == "-"))
    )

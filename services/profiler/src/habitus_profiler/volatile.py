# SPDX-License-Identifier: Apache-2.0
"""Finds the volatile parts of a text (ids, times, counters) and puts their type in their place."""

import re
from functools import lru_cache
from typing import Final

UUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_YEAR: Final = r"(?:19|20)\d\d"
_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12]\d|3[01])"
_ZONE: Final = r"(?:Z|[+-]\d\d:?\d\d)?"
_CLOCK: Final = r"[0-2]\d[:._-]?[0-5]\d(?:[:._-]?[0-5]\d)?(?:[.,]\d+)?"
ISO: Final = rf"{_YEAR}[-_./]{_MONTH}[-_./]{_DAY}[T_ .-]{_CLOCK}{_ZONE}"
COMPACT: Final = rf"{_YEAR}{_MONTH}{_DAY}(?:[T_.-]?[0-2]\d[0-5]\d(?:[0-5]\d)?(?:\.\d+)?{_ZONE})"
EPOCH: Final = r"1[0-9]{9}(?:[0-9]{3}|[0-9]{6}|[0-9]{9})?(?:\.\d+)?|20[0-9]{8}(?:[0-9]{3})?"
DATE: Final = rf"{_YEAR}[-_./]{_MONTH}[-_./]{_DAY}|{_YEAR}{_MONTH}{_DAY}"
VERSION: Final = r"v?\d+\.\d+(?:\.\d+)+(?:[-+](?:rc|alpha|beta|r)\.?\d*)?"
HEX: Final = (
    r"(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}|(?=[0-9A-F]*[A-F])(?=[0-9A-F]*\d)[0-9A-F]{7,64}"
    r"|[a-f]{8,64}"
)

_EMBEDDED: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    rf"(?P<uuid>{UUID})|(?P<timestamp>{ISO}|{COMPACT}|{EPOCH})|(?P<date>{DATE})|(?P<version>{VERSION})"
    rf"|(?P<hex>{HEX})|(?P<number>\d+)|(?P<id>[0-9A-Za-z]{{5,}})"
    r")(?![0-9A-Za-z])"
    r"|(?<=[A-Za-z])(?P<tail>\d{3,})(?![0-9A-Za-z])"
)
_TAIL: Final = re.compile(r"(?<=[A-Za-z])(?P<tail>\d{3,})\Z")


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})\Z")


# In this order; the first that fits the whole token gives its kind.
_KINDS: Final = (
    ("timestamp", _whole(f"{ISO}|{COMPACT}|{EPOCH}|@{EPOCH}")),
    ("date", _whole(DATE)),
    ("timestamp", _whole(r"[0-2]?\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")),
    ("number", _whole(r"[+-]?\d+(?:\.\d+)?%?|[+-]?\d*\.\d+(?:[eE][+-]?\d+)?|\d+(?:[:x,/-]\d+)+")),
    ("hex", _whole(r"0[xX][0-9a-fA-F]+")),
    ("uuid", _whole(rf"\{{?{UUID}\}}?")),
    ("size", _whole(r"\d+(?:\.\d+)?(?:[kKmMgGtTpP](?:i?[bB])?|[bB])")),
    ("duration", _whole(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|sec|secs|min|mins|h|d|w))+|\d+h\d+m(?:\d+s)?")),
    ("version", _whole(VERSION + r"|v\d+(?:\.\d+)*")),
)
_DIGITS_FIRST: Final = frozenset("0123456789+-.@{vabcdefABCDEF")
_HEX_ID: Final = _whole(HEX)

_STRICT: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?:(?P<uuid>{UUID})|(?P<timestamp>{ISO}|{COMPACT})|(?P<hex>(?:{HEX})(?<=.{{32}})))"
    r"(?![0-9A-Za-z])"
)
_TEMPORARY: Final = re.compile(r"(?<![0-9A-Za-z])(tmp[._-]?)([0-9A-Za-z_]{6,12})(?![0-9A-Za-z])")
_ANY_TEMPORARY: Final = re.compile(
    r"(?<![0-9A-Za-z])(tmp[._-]?)(?:[0-9A-Za-z_]{8}|(?=[a-z_]*[0-9A-Z])[0-9A-Za-z_]{6,12})(?![0-9A-Za-z_])"
)
_GENERATED_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' own alphabet for generated names."""
# What follows a Pod's or ReplicaSet's hash.
_HASHED: Final = re.compile(rf"(<(?:id|hex|number)>-)[{_GENERATED_LETTERS}]{{5}}\Z")
# A Pod's name as a ReplicaSet gives it, where the set's hash has no digit to be told by.
_POD: Final = re.compile(
    rf"(?<=[a-z0-9]-)[{_GENERATED_LETTERS}]{{8,10}}-[{_GENERATED_LETTERS}]{{5}}(?![0-9A-Za-z-])"
)
_SHORTEST_HEX: Final = 8
_TYPES: Final = re.compile(r"<\w+>")
_SWITCHES: Final = re.compile(r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)")
_GENERATED: Final = frozenset(_GENERATED_LETTERS)
_GENERATED_LENGTH: Final = range(5, 11)
_RANDOM_LENGTH: Final = 8
_RANDOM_SWITCHES: Final = 3
_WORDS: Final = frozenset({"sha224", "sha256", "sha384", "sha512", "base64", "amd64", "arm64", "x8664"})


@lru_cache(maxsize=4096)
def softened(text: str) -> str:
    """Return `text` with each volatile part replaced by its type; all else stays.

    `backup-20261124T1502.tar.gz` → `backup-<timestamp>.tar.gz`, `req-7f3a9c12` → `req-<hex>`.
    """
    if not any(map(str.isdigit, text)) and len(text) < _SHORTEST_HEX:
        return _TEMPORARY.sub(_temporary, text) if "tmp" in text else text
    if "tmp" in text:
        text = _TEMPORARY.sub(_temporary, text)
    if "-" in text:
        text = _POD.sub("<hex>-<id>", text)
    return _unhashed(_EMBEDDED.sub(_replaced, text))


@lru_cache(maxsize=8192)
def coarsely_softened(text: str) -> str:
    """Return `text` as `softened` does, with one type, `<id>`, for all but versions.

    A short random id is a number, a date, hex or a word by chance: where types decide nothing, the
    difference would only be noise.
    """
    if "tmp" in text:
        text = _ANY_TEMPORARY.sub(r"\1<id>", text)
    elif not any(map(str.isdigit, text)) and len(text) < _SHORTEST_HEX:
        return text
    if "-" in text:
        text = _POD.sub("<id>-<id>", text)
    return _unhashed(_EMBEDDED.sub(_coarse, text))


def _unhashed(text: str) -> str:
    return _HASHED.sub(r"\1<id>", text) if ">-" in text else text


def _coarse(match: re.Match[str]) -> str:
    found = _replaced(match)
    return found if found == "<version>" else _TYPES.sub("<id>", found)


@lru_cache(maxsize=4096)
def strictly_softened(text: str) -> str:
    """Return `text` with only what can be nothing but an id or an instant replaced.

    For places where a number may be part of a name on which security turns.
    """
    return _STRICT.sub(lambda match: f"<{match.lastgroup}>", text)


def _replaced(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "tail":
        return match[0] if _word_before(match) in _WORDS else "<number>"
    if kind == "id":
        return "<id>" if is_random(match[0]) else _TAIL.sub(_replaced, match[0])
    return f"<{kind}>"


def _word_before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - 3) : match.end()].lower()


def _temporary(match: re.Match[str]) -> str:
    rest = match[2]
    mixed = not rest.islower() or any(map(str.isdigit, rest))
    return f"{match[1]}<id>" if mixed else match[0]


def is_random(word: str) -> bool:
    """Say whether an alphanumeric word looks generated: digits and letters take turns.

    Kubernetes' own suffixes count too (their alphabet has no vowels and no 0, 1, 3).
    """
    if not any(map(str.isdigit, word)) or word.isdigit():
        return False
    if len(word) in _GENERATED_LENGTH and _GENERATED.issuperset(word):
        return True
    return len(word) >= _RANDOM_LENGTH and len(_SWITCHES.findall(word)) >= _RANDOM_SWITCHES


def kind_of(token: str) -> str | None:
    """Return the volatile kind of a whole token: number, hex, uuid, timestamp, date, size, …, or None."""
    if token[:1] not in _DIGITS_FIRST:
        return None
    return next((kind for kind, pattern in _KINDS if pattern.match(token)), None)


def is_hex_id(token: str) -> bool:
    """Say whether a token is an id in hex: 7 to 64 digits, letters among them."""
    return _HEX_ID.match(token) is not None

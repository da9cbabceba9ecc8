# SPDX-License-Identifier: Apache-2.0
"""Puts one fixed id in the place of every id of its kind, so that what was read once need not be read again.

Reading a command line costs tens of microseconds, and one that carries a new id was never read before. A hex
id of eight and more digits, or a uuid, has its type for normal text wherever it stands, so any other one of
its length gives the same result, and that result can be kept. Where it does not have its type (a domain that
somebody owns, a name below /etc), the fixed id shows up in the result: `shows` tells, and then the text
itself has to be read. Everything else (numbers, dates, short ids) stays, for it may mean several things.
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

# At least one of a, c, e, f: else it may be a size (`1234567b`) or a duration. Not behind a dot
# (`1.5e12345678`), nor first behind a dash (`-a1234567` is a flag with its value).
_ID: Final = re.compile(
    r"(?<![0-9A-Za-z.])(?=[0-9a-f]{8})(?<![^0-9A-Za-z]-)(?=[0-9bd]*[acef])"
    r"(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[a-f]*[0-9])[0-9a-f]{8,64})"
    r"(?![0-9A-Za-z])"
)


def stood_in(text: str) -> str:
    """Return `text` with the fixed id in the place of each hex id and uuid, as long as before."""
    return _ID.sub(_fixed, text)


def shows(text: str) -> bool:
    """Say whether the fixed id, or what a cut has left of it, may stand in a result."""
    return _MARK in text or any(part in text for part in _MIDDLES)


def _fixed(match: re.Match[str]) -> str:
    found = match[0]
    first = "7" if found[0].isdigit() else "c"  # a name may begin with a letter only
    length = len(found)
    return _UUID[first] if length == _UUID_LENGTH and "-" in found else _HEX[first][length]

# SPDX-License-Identifier: Apache-2.0
"""Code that an interpreter is given as text (`python -c`, `node -e`, `perl -ne`)."""

import re
from typing import Final

from habitus_profiler.codewords import LOCAL, PATTERN, QUIET, TAME
from habitus_profiler.little import hosts, substituted
from habitus_profiler.loose import named, places
from habitus_profiler.programs import CALLS
from habitus_profiler.slots import Slot
from habitus_profiler.volatile import softened

_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w+")
_SAID: Final = re.compile(r"'[^'\\{$#]*'|\"[^\"\\{$#]*\"")
_LOOKED_AT: Final = re.compile(r"(?<=[\w)\]])\.(?!env)[A-Za-z_]\w*(?![\w(.=]|\s*[=(])")
_QUOTED: Final = re.compile(r"['\"]([\w.:@/-]{1,200}\.[\w.:/-]{1,200})['\"]")
"""What may be a host."""
_COLLECTION: Final = re.compile(r"\bdb\.([a-z]\w*)(?=\.)")
_BY_NAME: Final = CALLS - {"import"} | {
    "getattr",
    "import_module",
    "send",
    "public_send",
    "const_get",
    "constructor",
}
_ENOUGH: Final = 200


def code(text: str) -> list[Slot]:
    """Return by what names inline code could do harm, what places it names, and what it switches.

    What is only said (a literal without an interpolation), only looked at (`.length`), given a name of the
    code's own, or tame (`codewords`) is none, unless the code calls by names that it is given, or the name
    itself tells.
    """
    text, put = substituted(PATTERN.sub(" ", text))
    plain = QUIET.sub(" ", text)
    names = _IDENTIFIER.findall(plain)[:_ENOUGH]
    if _BY_NAME.isdisjoint(map(str.lower, names)):
        names = _IDENTIFIER.findall(_LOOKED_AT.sub(" ", _SAID.sub(" ", plain)))[:_ENOUGH]
    own = {*_COLLECTION.findall(plain)} - CALLS | {
        name for name in LOCAL.findall(plain) if name.lower() not in CALLS
    }
    called = (Slot("code", softened(name)) for name in names if name not in own and name.lower() not in TAME)
    return [*called, *put, *named(text), *places(text), *hosts(" ".join(_QUOTED.findall(text)))]

# SPDX-License-Identifier: Apache-2.0
"""By what name a program is called, and what a mode in digits gives away."""

import re
from typing import Final

from habitus_profiler.grades import Token
from habitus_profiler.kindred import WRITABLE
from habitus_profiler.paths import exe_place
from habitus_profiler.slots import Slot
from habitus_profiler.volatile import softened

MODE: Final = re.compile(r"[0-7]{3,4}\Z")
_NO_FOLDERS: Final = frozenset({"media", ".", ".."})
"""Writable by others, but not as the folder of a disk or of a process."""


def named(word: str) -> Token:
    """Read argv[0]: programs of the image by their bare name, others with their directory.

    A folder that others may write to, or that is hidden, is told apart.
    """
    if "/" not in word:
        return Token("command", softened(word))
    place = exe_place(word)
    if place.fixed:
        return Token("command", place.text.rsplit("/", 1)[-1])
    folders = (part for part in word[len(place.place) :].split("/")[:-1] if part not in _NO_FOLDERS)
    loose = next((part for part in folders if part in WRITABLE or part[:1] == "."), "")
    return Token("command", place.text, (Slot("program", f"in {place.place} {loose}".rstrip()),))


def mode(word: str) -> tuple[Slot, ...]:
    """Return what is dangerous in a mode in octal digits."""
    setid = (Slot("mode", "setid"),) if len(word) > len("755") and word[0] in "234567" else ()
    return (*setid, Slot("mode", "writable by all")) if word[-1] in "2367" else setid

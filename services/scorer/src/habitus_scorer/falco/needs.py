# SPDX-License-Identifier: Apache-2.0
"""What must occur in an event for one of Falco's comparisons to hold; see `habitus_scorer.needs`."""

import fnmatch
import re
from collections.abc import Sequence
from typing import Final

from habitus_scorer import regex_needs
from habitus_scorer.falco import fields
from habitus_scorer.falco.grammar import Check
from habitus_scorer.needs import Needs, Source, either, needed

_ENDS: Final = {
    "=": (True, True),
    "==": (True, True),
    "in": (True, True),
    "intersects": (True, True),
    "contains": (False, False),
    "icontains": (False, False),
    "startswith": (True, False),
    "endswith": (False, True),
    "pmatch": (True, False),
}
"""By operator: whether the value stands at the beginning of the field's text, and at its end."""
_KEEPS: Final = frozenset({"", "val", "tolower", "basename"})
"""Transformers whose outcome is, but for case, a part of the text."""
_PATTERNS: Final = frozenset({"regex", "glob", "iglob"})


def needs_of(check: Check, values: Sequence[str], source: Source) -> Needs:
    """Return the needs of one comparison; nothing where it is more than text, as with address ranges."""
    refers = any(value.startswith("val(") for value in values)
    if refers or check.field in fields.NETS or check.transform not in _KEEPS:
        return ()
    if check.operator in _PATTERNS:
        written = values[0] if check.operator == "regex" else fnmatch.translate(values[0])
        flags = re.IGNORECASE if check.operator == "iglob" else re.RegexFlag(0)
        return regex_needs.needs_of(source, re.compile(written, flags))
    if check.operator not in _ENDS:
        return ()
    start, end = _ENDS[check.operator]
    start = start and check.transform != "basename"
    if check.operator == "pmatch":
        values = [value.rstrip("/") for value in values]
    return either(needed(source, value, start=start, end=end) for value in values)

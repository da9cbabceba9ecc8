# SPDX-License-Identifier: Apache-2.0
"""Grades a flag by the words in its name, once its value is graded: what of it could do harm.

Each table of `hazards` is a danger mark. A name without one is mild; so is a name whose marks mean
something else here (`storage-class`, `log-level-console`, a port that only this machine reaches).
"""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

from habitus_profiler.hazards import (
    ABOUT_DATA,
    AMOUNTS,
    BOUNDS,
    CODE,
    COUNTED,
    CREDENTIALS,
    DESCRIPTIONS,
    DOORS,
    ENDINGS,
    GAUGES,
    HARMLESS_PAIRS,
    INSIDE,
    KEYED,
    LABELS,
    LEAVING_OUT,
    LENIENT,
    LEVELS,
    LISTED,
    LISTS,
    LOADING,
    LOOKS,
    NAMES,
    NEGATIONS,
    OBEYED,
    OWN_NAMES,
    POWERS,
    PROTECTIONS,
    REACHES,
    ROUTES,
    TEMPORARY,
    TIDYING,
    TIMES,
    TONGUES,
    TRIFLES,
    UNPROTECTED,
    WATCHING,
    WEAKENING,
    WHO,
)

Value = Literal[
    "none", "on", "off", "amount", "format", "digit", "number", "word", "setting", "place", "near", "other"
]
"""What stands behind a flag: nothing; a switch; a size or time; a format or level; one digit; a number; a
word; a setting that is mild by itself; where data lie; this machine itself; anything else."""

_PARTS: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SWITCHED_OFF: Final = frozenset(
    {"auth", "check", "enable", "require", "sandbox", "secure", "ssl", "tls", "use", "validate", "verify"}
)
_LOOKING: Final = frozenset(
    (name,) for name in ("scanners", "scanner", "checks", "columns", "fields", "format", "sort")
)
_FILES: Final = ("file", "files", "dir", "path")
_LISTED: Final = frozenset({*_FILES, "from", "list"}) - {"dir", "path"}
_INCLUDED: Final = frozenset({*_FILES, "build", "config", "from", "script"})
_FIGURES: Final = frozenset({"amount", "digit", "number"})
_SWITCHING: Final = frozenset({"none", "on", "off"})


@lru_cache(maxsize=4096)
def parts_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case, without pairs that together mean no harm."""
    parts = [part.lower() for part in _PARTS.split(name) if part]
    if parts and parts[0][:2] == "no" and parts[0][2:] in _SWITCHED_OFF:
        parts = ["no", parts[0][2:], *parts[1:]]  # as gflags spells it: `--norequire_client_cert`
    harmless = [at for at, pair in enumerate(pairwise(parts)) if _is_harmless(*pair)]
    dropped = {*harmless, *(at + 1 for at in harmless)}
    return tuple("pair" if at in dropped else part for at, part in enumerate(parts))


def _is_harmless(first: str, second: str) -> bool:
    """Say whether two words together mean no harm, by a table or as what is done with a trifle."""
    if (first, second) in HARMLESS_PAIRS or (first in TIDYING and second in TRIFLES):
        return True
    return (first in {"allow", "allowed"} and second in LENIENT) or (first in LISTED and second in LISTS)


def names_route(flag: str) -> bool:
    """Say whether a flag's value is where a server answers, and no file: `--web.telemetry-path`."""
    parts = parts_of(flag)
    return len(parts) > 1 and parts[-1] in {"path", "prefix"} and not ROUTES.isdisjoint(parts[:-1])


def names_look(flag: str) -> bool:
    """Say whether a flag's value is for what is looked, or what of it is shown."""
    return parts_of(flag)[-1:] in _LOOKING


def names_no_peer(flag: str) -> bool:
    """Say whether a host behind a flag is nobody to speak to: a label, a server's own name."""
    parts = parts_of(flag)
    if not parts or not CODE.isdisjoint(parts):
        return False
    return parts[-1] in LABELS or (parts[-1] in OWN_NAMES and not {"external", "public"}.isdisjoint(parts))


def names_scratch(flag: str) -> bool:
    """Say whether a flag or variable says where files lie for a moment: `--worker-tmp-dir`, `TMPDIR`."""
    return not TEMPORARY.isdisjoint(parts_of(flag))


def names_obeyed(flag: str) -> bool:
    """Say whether what a flag's value leads to is run or obeyed."""
    return not CODE.isdisjoint(parts_of(flag))


def names_left_out(flag: str) -> bool:
    """Say whether what stands behind a flag is left alone: `--exclude-dir`, not `--exclude-from`."""
    parts = parts_of(flag)
    return not LEAVING_OUT.isdisjoint(parts) and parts[-1] not in _LISTED and CODE.isdisjoint(parts)


def names_tongue(flag: str) -> bool:
    """Say whether a flag's value is a language or platform, and no program: `--target node`."""
    parts = parts_of(flag) if flag[:2] == "--" else ()
    return bool(parts) and parts[-1] in TONGUES


def names_data(flag: str) -> bool:
    """Say whether a flag's value is the name of data, and no path: `--topic`."""
    return not ABOUT_DATA.isdisjoint(parts_of(flag))


def names_gauge(flag: str) -> bool:
    """Say whether what answers at a flag's address only tells how a program fares: `--metrics.address`."""
    return not GAUGES.isdisjoint(parts_of(flag))


def is_mild_name(parts: tuple[str, ...], value: Value) -> bool:
    """Say whether a flag of this name can do no harm with a value of this grade."""
    if not parts:
        return False
    if value in _FIGURES and _is_amount(parts):
        # How long or how many, of whatever: `--parent-shutdown-time-s 60`; of what protects, not how little.
        protects = not (PROTECTIONS - LOOKS).isdisjoint(parts) or not CREDENTIALS.isdisjoint(parts)
        return not protects or (parts[-1] in AMOUNTS - WEAKENING and WEAKENING.isdisjoint(parts))
    if harms(parts, value) and not _means_no_harm(parts, value):
        return False
    if value in _FIGURES:
        return (
            value == "amount" or parts[-1] == "port" or (WHO if value == "digit" else DOORS).isdisjoint(parts)
        )
    if value in {"place", "near", "setting"}:
        return CODE.isdisjoint(parts) and not parts[-1].endswith(ENDINGS)
    return value != "word" or _describes(parts) or not _takes_code(parts)


def _is_amount(parts: tuple[str, ...]) -> bool:
    return parts[-1] in AMOUNTS or parts[-1].endswith(COUNTED) or not (TIMES | BOUNDS).isdisjoint(parts)


def harms(parts: tuple[str, ...], value: Value) -> bool:
    """Say whether a power is switched on or a protection off, or either is given a value of another kind."""
    joined = "_".join(parts)
    power, protection = not POWERS.isdisjoint(parts), not PROTECTIONS.isdisjoint(parts)
    if value not in _SWITCHING:
        protection = not (PROTECTIONS - LOOKS).isdisjoint(parts)
    if value == "format":
        return protection
    if value == "digit" and (INSIDE.search(joined) or UNPROTECTED.search(joined)):
        return True  # as good as on or off
    if value not in _SWITCHING:
        return power or protection
    off = (not NEGATIONS.isdisjoint(parts)) != (value == "off")
    if value == "off" and not CREDENTIALS.isdisjoint(parts):
        return True
    power = power or INSIDE.search(joined) is not None
    protection = protection or UNPROTECTED.search(joined) is not None
    return (protection and off) or (power and (protection or not off))


def unprotects(parts: tuple[str, ...]) -> bool:
    """Say whether a name alone says that a protection is off: `--no-verify-ssl`, `--insecure`."""
    joined = "_".join(parts)
    protection = not PROTECTIONS.isdisjoint(parts) or UNPROTECTED.search(joined) is not None
    return (protection and not NEGATIONS.isdisjoint(parts)) or INSIDE.search(joined) is not None


def _means_no_harm(parts: tuple[str, ...], value: Value) -> bool:
    """Say whether the words that would do harm mean something else here: `--log-level-console`."""
    if not PROTECTIONS.isdisjoint(parts):
        return False
    if value in {"word", "format", "digit", "number"} and not LEVELS.isdisjoint(parts):
        return True
    if value in {"digit", "number"} and parts[-1] == "port" and POWERS.intersection(parts) == {"listen"}:
        return True  # the network's trie shows who listens
    if value == "near" and POWERS.intersection(parts) <= REACHES:
        return True  # nobody else reaches it, nor is reached
    return value == "none" and "on" in parts and parts[-1] == "error"  # only where something failed


def _takes_code(parts: tuple[str, ...]) -> bool:
    """Say whether a word behind such a name may name code, a place or a person.

    Of a name's words the last says what it is (`worker-class`, not `class-size`), but for verbs.
    """
    if parts[0] == "on" or parts[:2] == ("xx", "on") or parts[-1] in NAMES or parts[-1].endswith(ENDINGS):
        return True
    if not LOADING.isdisjoint(parts) or ("include" in parts and parts[-1] in _INCLUDED):
        return True
    return parts[-1].endswith(_FILES) and not OBEYED.isdisjoint(parts)


def _describes(parts: tuple[str, ...]) -> bool:
    if parts[-1] in DESCRIPTIONS or parts[-1] == "pair" or parts[0] in WATCHING:
        return True
    return parts[-1] == "key" and not KEYED.isdisjoint(parts[:-1])

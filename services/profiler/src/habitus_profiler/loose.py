# SPDX-License-Identifier: Apache-2.0
"""What a text of several words holds: URLs, paths, names of calls, SQL verbs. Each function returns slots."""

import re
from itertools import pairwise
from typing import Final

from habitus_profiler.addresses import parsed, remote_of
from habitus_profiler.flags import switch_of
from habitus_profiler.programs import CALLS, RUNNING, program
from habitus_profiler.slots import Slot
from habitus_profiler.telling import gives, telling
from habitus_profiler.tokens import typed

_LOOSE: Final = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"`;|<>()]+|/(?:[\w.@+-]+/)*[\w.@+-]+"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w+")
_CALLED: Final = re.compile(r"[A-Za-z_]\w+(?=\s?\()")
_ENTRY: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+:[A-Za-z_]\w*\Z")
_OBJECT: Final = re.compile(r"[A-Za-z_]\w*:[A-Za-z_]\w*\Z")
_ADDRESS: Final = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_TREE: Final = re.compile(r"[A-Za-z][\w-]*\Z")
_SETTING: Final = re.compile(r"(?:(?<=\w)\s?=\s?|(?<=\")\s?:\s?\")([^\s;,&'\"=]+)")
"""`name=value`, `"name": "value"`."""
_AGENT: Final = re.compile(
    r"-(?:javaagent|agentlib|agentpath|Xrunjdwp)[:=][^\s'\"]{1,100}|-Xbootclasspath\S{1,100}"
)
_PIPED: Final = re.compile(r"(?:\||&&)\s*([\w./-]+)")
_LOGICAL: Final = frozenset({"|", "&&"})
"""What also stands between conditions: `QUAL>20 && DP>10`."""
_RUN_BEHIND: Final = RUNNING | {"cat", "chmod", "cp", "dd", "env", "id", "mv", "rm", "tee", "whoami"}
_OPERATORS: Final = ("$(", "`", "|", "&&")
_SQL_START: Final = re.compile(
    r"\s*(?:select|insert|update|delete|create|drop|alter|copy|with|begin|grant|truncate|show|do|call|set(?!\s+\w+:)|"
    r"vacuum|analyze|explain|revoke|load|use|replace|merge|describe|optimize|pragma|exec|execute|declare|backup|"
    r"restore|dbcc|kill|reconfigure|bulk|refresh)\b(?!=)",
    re.IGNORECASE,
)
_SQL_VERB: Final = re.compile(
    r"\b(select|insert|update(?!\s+statistics\b)|delete|create|drop|alter(?!\s+(?:index|table\s+\S+\s+materialize)\b)|copy|program|grant|revoke|"
    r"(?<!wal_checkpoint\()truncate|outfile|dumpfile|"
    r"load_file|infile|execute|call|do|attach|lo_import|lo_export|pg_read_file|pg_ls_dir|sys_exec|shell|"
    r"extension|superuser|function|trigger|role|user|union|(?<!vacuum )into|(?:server|database)\s+audit|"
    r"login|xp_\w{1,20}|sp_configure|sp_oa\w{1,20}|"
    r"openrowset|opendatasource|dblink\w{0,20})\b",
    re.IGNORECASE,
)
_ENOUGH: Final = 200
_MARKS: Final = "()[]{},:'\""


def places(text: str) -> list[Slot]:
    """Return the slots of URLs and absolute paths anywhere in a text."""
    return [slot for match in _LOOSE.findall(text)[:_ENOUGH] for slot in typed(match).slots]


def settings(text: str) -> list[Slot]:
    """Return the slots of hosts that stand as values in a text (`Server=db.example;User Id=sa`)."""
    found = (typed(value) for value in _SETTING.findall(text)[:_ENOUGH])
    return [slot for token in found for slot in token.slots if slot.kind == "remote"]


def agents(text: str) -> list[Slot]:
    """Return what options of a Java machine load that are handed on in one text."""
    return [Slot("load", match) for match in _AGENT.findall(text)[:_ENOUGH]]


def switched(text: str) -> list[Slot]:
    """Return what a text of an interactive program switches (`set ssl:verify-certificate no`)."""
    words = re.split(r"[\s;]+", text)[:_ENOUGH]
    pairs = [
        *pairwise(words),
        *((name, value) for word in words for name, _, value in (word.partition("="),)),
    ]
    return [
        Slot("switch", found)
        for name, value in pairs
        if len(value) > 1 and (found := switch_of(name.strip(_MARKS), value.strip(_MARKS)))
    ]


def addresses(text: str) -> list[Slot]:
    """Return the addresses that stand anywhere in a text (`image = "203.0.113.4/x"`)."""
    found = (
        match for match in _ADDRESS.findall(text)[:_ENOUGH] if parsed(match) and not match.startswith("255.")
    )
    return [Slot("remote", remote_of(match)) for match in found]


def named(text: str) -> list[Slot]:
    """Return the telling words of a text."""
    words = text.split()[:_ENOUGH]
    together = [found for pair in pairwise(words) if (found := gives(*pair))]
    return [Slot("word", found) for found in (*(each for word in words for each in telling(word)), *together)]


def objects(text: str) -> list[Slot]:
    """Return the words that may name an object to run, though their module has no dot (`main:app`)."""
    return [Slot("entry", word) for word in text.split()[:_ENOUGH] if _OBJECT.match(word)]


def told_again(text: str) -> list[Slot]:
    """Return the slots that a normal form's own text still gives: telling words, entries and places."""
    words = text.split()[:_ENOUGH]
    pairs = list(pairwise(words))
    pairs += [(name, value) for word in words for name, equals, value in (word.partition("="),) if equals]
    given = [Slot("word", found) for pair in pairs if (found := gives(*pair))]
    switched = [Slot("switch", found) for pair in pairs if (found := switch_of(*pair))]
    return [
        *named(text),
        *given,
        *switched,
        *_named_places(words),
        *entries(text),
        *objects(text),
        *places(text),
    ]


def _named_places(words: list[str]) -> list[Slot]:
    """Return the hosts, with their owners, and the trees of names that words, or flags' values, are."""
    values = [word.partition("=")[2] if word[:1] == "-" else word for word in words]
    remotes = [slot for value in values for slot in typed(value).slots if slot.kind == "remote"]
    tops = [value.partition("/")[0] for value in values if "/" in value]
    return [*remotes, *(Slot("tree", top) for top in tops if _TREE.match(top))]


def entries(text: str) -> list[Slot]:
    """Return the words that name an object to run within a module (`shop.wsgi:application`)."""
    return [Slot("entry", word) for word in text.split()[:_ENOUGH] if _ENTRY.match(word)]


def calls(text: str) -> list[Slot]:
    """Return the names in a text that looks like code by which something would run."""
    names = _CALLED.findall(text) if is_sql(text) else _IDENTIFIER.findall(text)
    return [Slot("code", word) for word in names[:_ENOUGH] if word.lower() in CALLS]


def runs(text: str) -> str:
    """Return the program that a text of several words runs as a shell would, or nothing."""
    first = text.lstrip("\\!. ").split(maxsplit=1)[:1]
    name = program(first[0].lstrip("'\"")) if first else ""
    return name if name in RUNNING else ""


def is_sql(text: str) -> bool:
    """Say whether a text begins as SQL does."""
    return _SQL_START.match(text) is not None


def escapes(text: str) -> list[Slot]:
    """Return the programs that a text of an interactive program runs (`!sh`), and the root if it names it."""
    words = text.split()[:_ENOUGH]
    escaped = [word.strip("!;'\"") for word in words if word[:1] == "!"]
    run = [Slot("command", name) for name in escaped if name in _RUN_BEHIND]
    return [*run, Slot("path", "/")] if "/" in words and not is_sql(text) else run


def operators(text: str) -> list[Slot]:
    """Return the verbs of SQL, or the shell operators of any other text."""
    if is_sql(text):
        verbs = [Slot("sql", verb.lower()) for verb in _SQL_VERB.findall(text)[:_ENOUGH]]
        return verbs or [Slot("sql", "other")]
    runs = any(program(name) in _RUN_BEHIND or "/" in name for name in _PIPED.findall(text))
    found = (operator for operator in _OPERATORS if operator in text)
    return [Slot("operator", operator) for operator in found if runs or operator not in _LOGICAL]

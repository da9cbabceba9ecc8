# SPDX-License-Identifier: Apache-2.0
"""The little languages in which tools are told how to go through a text: awk, jq, sed, yq.

Each can do harm by a few of its words only, and by the files and hosts that it names. So a program in one
of them is no more than these: which columns it adds up, which lines it prints and which word it puts for
another one says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from habitus_profiler import loose
from habitus_profiler.flags import switch_of
from habitus_profiler.slots import Slot
from habitus_profiler.tokens import typed
from habitus_profiler.words import words


class _Tool(NamedTuple):
    """`harms`: words by which it does harm.

    Flags: `code`, a program stands behind it; `files`, its file; `one`, `two`, so many other values.
    """

    harms: frozenset[str]
    code: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    one: frozenset[str] = frozenset()
    two: frozenset[str] = frozenset()


_AWK: Final = _Tool(
    words("system getline ENVIRON PROCINFO SYMTAB extension load include"),
    words("-e --source"),
    words("-f --file -i --include -l --load"),
    words("-F --field-separator -v --assign"),
)
_JQ: Final = _Tool(
    words("env ENV import include modulemeta input_filename load load_str strenv envsubst exec system"),
    files=words("-f --from-file"),
    one=words("-L --indent --library-path"),
    two=words("--arg --argjson --slurpfile --rawfile"),
)
_SED: Final = _Tool(frozenset(), words("-e --expression"), words("-f --file"), words("-l --line-length"))
_YQ: Final = _JQ._replace(
    code=words("--expression"),
    files=words("--from-file"),
    one=words("-I -o -p --indent --output-format --input-format"),
)
_TOOLS: Final[dict[str, _Tool]] = {
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _AWK),
    **dict.fromkeys(("jq", "gojq", "jaq"), _JQ),
    **dict.fromkeys(("sed", "gsed"), _SED),
    "yq": _YQ,
}
_COMMANDS: Final = words("e ea eval eval-all shell-completion")
"""Subcommands of yq that stand before its program."""
_ENDS_IN_CODE: Final = re.compile(r"-[nrEsuz]{1,5}e\Z")
_SUBSTITUTION: Final = re.compile(
    r"(?<![\w$@%\\])s([/|,#!@:~%])((?:\\.|(?!\1).){0,2000})\1((?:\\.|(?!\1).){0,2000})\1"
    r"([a-zA-Z0-9]*)(?:[ \t]+([^\s;}]+))?",
    re.DOTALL,
)
_ADDRESS: Final = re.compile(r"\\(\W)(?:\\.|(?!\1).)*\1[IM]*|/(?:\\.|[^/\n])*/[IM]*")
_PIECE: Final = re.compile(r"[;{}\n]")
_LEAD: Final = " \t0123456789,$!~+"
_STRING: Final = re.compile(r'"((?:\\.|[^"\\])*)"')
_PIPE: Final = re.compile(r"\|&|(?<!\|)\|(?!\|)")
_INTO: Final = re.compile(r"\bprintf?\b[^;}\n]{0,200}?(>>?)\s*(?=[\"$\w])")
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_SAID: Final = re.compile(r"[\s|=,;'\"()<>]+")
_MOST: Final = 20


def codes(name: str, words: Sequence[str]) -> frozenset[int]:
    """Return which arguments of a program are programs in its little language."""
    tool = _TOOLS.get(name)
    if tool is None:
        return frozenset()
    found: set[int] = set()
    given, values = False, 0
    for at, word in enumerate(words):
        if values:
            values -= 1
        elif word[:1] == "-" and len(word) > 1:
            if word in tool.code or (tool is _SED and _ENDS_IN_CODE.match(word)):
                found.add(at + 1)
                given, values = True, 1
            else:
                given = given or word in tool.files
                values = 2 if word in tool.two else int(word in tool.one or word in tool.files)
        elif not given and not (tool is _YQ and word in _COMMANDS):
            found.add(at)
            given = True
    return frozenset(found)


def slots_of(name: str, text: str) -> list[Slot]:
    """Return by what a program in a tool's little language could do harm."""
    tool = _TOOLS[name]
    if tool is _SED:
        return [*_edits(text), *loose.named(text)]
    harms = [Slot("code", word) for word in _NAME.findall(text) if word in tool.harms]
    strings = [match for match in _STRING.findall(text)[:_MOST] if match]
    named = [slot for string in strings for slot in (*loose.places(string), *hosts(string))]
    if tool is not _AWK:
        return [*harms, *named, *loose.named(text), *loose.switched(text), *loose.addresses(text)]
    bare = _STRING.sub('""', _ADDRESS.sub(" ", text))
    piped = [Slot("operator", sign) for sign in _PIPE.findall(bare)]
    into = [Slot("operator", f"{sign} file") for sign in _INTO.findall(bare)]
    run = [slot for string in strings if piped for slot in loose.escapes(f"!{string}")]
    return [*harms, *piped, *into, *run, *named, *loose.named(text)]


def substituted(text: str) -> tuple[str, list[Slot]]:
    """Return a text without what is only put for something else (`s/a/b/g`), and what that names.

    What is run (`s/a/b/e`) stays.
    """
    slots: list[Slot] = []

    def taken(match: re.Match[str]) -> str:
        if "e" in match[4]:
            slots.append(Slot("code", "s///e"))
            return f" {match[3]} {match[5] or ''}"
        slots.extend(_put(match[2], match[3]))
        return f" {match[5] or ''}"

    return _SUBSTITUTION.sub(taken, text), slots


def _edits(text: str) -> Iterator[Slot]:
    """Yield what a program of sed runs, reads and writes, and what it puts into a text."""
    for match in _SUBSTITUTION.finditer(text):
        if "e" in match[4]:
            yield Slot("code", "s///e")
        if "w" in match[4]:
            yield from _file("w", match[5] or "")
        yield from _put(match[2], match[3])
    for piece in _PIECE.split(_ADDRESS.sub(" ", _SUBSTITUTION.sub(" ", text))):
        command = piece.lstrip(_LEAD)
        if command[:1] == "e":
            yield Slot("code", "e")
            yield from loose.escapes(f"!{command[1:].lstrip()}")
        elif command[:1] in {"w", "W", "r", "R"}:
            yield from _file(command[0], command[1:].strip())
        elif command[:1] in {"a", "i", "c"}:
            yield from _put("", command[1:])


def _file(sign: str, name: str) -> Iterator[Slot]:
    """Yield what a file is that sed reads or writes by itself."""
    yield Slot("operator", f"sed {sign}")
    yield from typed(name).slots


def _put(old: str, new: str) -> Iterator[Slot]:
    """Yield the hosts and places that a text holds which is put for another one, and what it switches."""
    yield from hosts(new)
    yield from loose.places(new.replace("\\", ""))
    names = [*dict.fromkeys(_NAME.findall(f"{old} {new}"))][:_MOST]
    values = [value for value in re.split(r"[\s:=,;'\"\\\d]+", new) if value][:_MOST]
    figures = re.findall(r"(?<=[=: ])[01]\Z", new)
    if old and not new.strip():
        values = ["off"]  # what is taken out is as good as switched off
    for name in names:
        for value in (*values, *figures):
            found = switch_of(name, value) if name != value else None
            if found:
                yield Slot("switch", found)


def hosts(text: str) -> Iterator[Slot]:
    for word in _SAID.split(text)[:_MOST]:
        yield from (slot for slot in typed(word).slots if slot.kind == "remote")

# SPDX-License-Identifier: Apache-2.0
"""Slots: the parts of a command line on which security turns, and what counts as seen before.

A slot is (kind, value). Values that differ without danger are already the same value here (see
`addresses` and `paths`); what remains is compared exactly, except

- `remote`: a host whose domain was seen with two hosts is known, unless strangers share that domain;
  after 64 different remotes the process is one that talks to anybody;
- `flag`: a cluster of short flags (`-xf`) is known when each of its letters was seen; names that only
  change how much is said (`--verbose`) are left to the cosine;
- `tuned`: a flag or variable whose value is a number, and a long flag whose value is a plain word, is left
  to the cosine, unless its name tells of a door (see `is_tuning`); with another value it is known, too,
  once it was seen so. `loopback` is known where every address (`any`) is.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from habitus_profiler.addresses import suffix_of
from habitus_profiler.words import words


class Slot(NamedTuple):
    """One part on which security turns."""

    kind: str
    value: str


WORDS: Final = {
    "remote": "remote",
    "scheme": "URL scheme",
    "fetch": "kind of file fetched",
    "path": "path",
    "flag": "flag",
    "tuned": "tuning",
    "variable": "variable",
    "word": "telling word",
    "operator": "shell operator",
    "command": "command",
    "load": "code loaded",
    "code": "word in inline code",
    "blob": "encoded blob",
    "mode": "file mode",
    "sql": "SQL verb",
    "program": "way of naming the program",
    "layer": "program file in the layer",
    "overlong": "overlong command line",
}
"""kind → how a person reads it."""

_MAX_VALUES: Final = 4096
_MANY_HOSTS: Final = 2
_ANYBODY: Final = 64
_MAX_CLUSTER: Final = 5
_ASKING: Final = frozenset({"[", "test", "set", "echo", "printf", "true", "false", "sleep", "date"})
"""Commands in shell text whose flags can do no harm."""

# Names that in every common tool change how much is said or how long is waited, and nothing else.
MILD_FLAGS: Final = words(
    """
    --verbose --quiet --silent --progress --no-progress --show-error --color --colour --no-color --help
    --version --usage --stats --summary --human-readable --timeout --wait --retry --retries
    --retry-delay --retry-max-time --max-time --connect-timeout --read-timeout --tries
    --format --json --pretty --indent --sort --reverse --long --all --debug --log-level --loglevel
    --dry-run --no-cache --jobs --threads --workers --parallel --limit --max --min --count --lines --depth
    --fail --compressed --compress --level --fast --best --no-owner --no-acl --no-privileges --no-pager
    --no-header --name --tag --label --interval --period --since --until --max-old-space-size --size
    -q -v -vv -vvv -V --info --verbosity --no-warnings --no-deprecation --check --test --once --recursive
    --batch-size --concurrency
    """
)


# A number behind one of these opens a door, or says who runs: `--inspect 9229`, `--uid 0`.
_DOORS: Final = words(
    """
    port listen inspect debug debugger attach jdwp uid gid user group owner pid fd bind address remote admin
    socket mode umask privileged unsafe allow insecure trust as role profile class plugin extension module
    load library script command cmd exec hook shell run network host server proxy key token password secret
    config file path dir output out include import require source registry image device mount cap capability
    security
    """
)
_DOOR_LETTERS: Final = frozenset("pPuUgGlLDRSxXeE")


@lru_cache(maxsize=4096)
def is_tuning(flag: str) -> bool:
    """Say whether a flag or variable whose value is a number or a plain word only tunes: it is no door."""
    name = flag.lstrip("-")
    if len(name) == 1:
        return name not in _DOOR_LETTERS
    return not _DOORS.intersection(re.split(r"[-_.]", name.lower()))


class SlotBook:
    """The slots that one leaf has seen."""

    __slots__ = ("_letters", "_suffixes", "seen")

    def __init__(self, seen: Iterable[tuple[str, str]] = ()) -> None:
        self.seen: dict[str, set[str]] = {}
        self._suffixes: dict[str, int] = {}
        self._letters: dict[str, set[str]] = {}
        for kind, value in seen:
            self.learn(Slot(kind, value))

    def __len__(self) -> int:
        return sum(map(len, self.seen.values()))

    def learn(self, slot: Slot) -> bool:
        """Remember a slot; True when it was not known before, by itself or by its class."""
        values = self.seen.setdefault(slot.kind, set())
        if slot.value in values:
            return False
        known = self.knows(slot)
        if len(values) < _MAX_VALUES:
            values.add(slot.value)
            self._index(slot)
        return not known

    def knows(self, slot: Slot) -> bool:
        """Say whether this leaf has seen the slot, or may be taken to have."""
        if slot.value in self.seen.get(slot.kind, ()):
            return True
        if slot.kind == "remote":
            seen = self.seen.get("remote", ())
            if len(seen) >= _ANYBODY or (slot.value == "loopback" and "any" in seen):
                return True
            suffix = suffix_of(slot.value)
            return suffix is not None and self._suffixes.get(suffix, 0) >= _MANY_HOSTS
        if slot.kind == "variable":
            return f"{slot.value}=" in self.seen.get("tuned", ())
        return slot.kind == "tuned" or (slot.kind == "flag" and self._knows_flag(slot.value))

    def records(self) -> list[tuple[str, str]]:
        """Return every slot in a stable order."""
        return sorted((kind, value) for kind, values in self.seen.items() for value in values)

    def _knows_flag(self, value: str) -> bool:
        command, _, name = value.rpartition(" ")
        if name in MILD_FLAGS or command in _ASKING or value in self.seen.get("tuned", ()):
            return True
        return _is_cluster(name) and self._letters.get(command, set()).issuperset(name[1:])

    def _index(self, slot: Slot) -> None:
        if slot.kind == "remote":
            suffix = suffix_of(slot.value)
            if suffix:
                self._suffixes[suffix] = self._suffixes.get(suffix, 0) + 1
        elif slot.kind == "flag":
            command, _, name = slot.value.rpartition(" ")
            if _is_cluster(name):
                self._letters.setdefault(command, set()).update(name[1:])


def _is_cluster(name: str) -> bool:
    return 1 < len(name) <= _MAX_CLUSTER and name[0] == "-" and name[1:].isalpha()

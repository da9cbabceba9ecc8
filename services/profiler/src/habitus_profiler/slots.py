# SPDX-License-Identifier: Apache-2.0
"""Slots: the parts of a command line on which security turns, and what counts as seen before.

A slot is (kind, value). Values that differ without danger are already the same value here (see
`addresses` and `paths`); what remains is compared exactly, except that enough different values of one
kind make another of the kind known (see `kindred`), and

- `remote`: after 64 different remotes the process is one that talks to anybody; `loopback` is known, and so
  is what lies inside a cluster or a company: the network trie sees the connection itself, by process and port
  (docs/decisions/0037); not so for what spoke to this machine only; `reach`: nor where a program opens shells
  and tunnels there;
- `flag`: a cluster of short flags (`-xf`) is known when each of its letters was seen; names that only
  change how much is said (`--verbose`) are left to the cosine;
- `tuned`: flags and variables that can do no harm by themselves (see `flags`) are left to the cosine;
- `operator`: what only puts commands in sequence (`&&`, `;`) is known where another such one is, what
  writes into a place (`>`) where another one does that writes there (`>>`), or where known data lie;
- `command`: what can do nothing (`true`, `echo`) or only reads (`head`) is known, and `wget` where `curl` is;
  `scheme`: so is the enciphered one of a known one;
- `sql`: who gave any verb may read, who writes rows one way may write them another;
- `tree`, `who`, `scratch`: the first name of a relative path, whom a command acts as, or the flag by which
  a file in `/tmp` is given, is news only where such were seen (an old profile has none).
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from habitus_profiler.addresses import is_inside
from habitus_profiler.flags import MILD_FLAGS
from habitus_profiler.kindred import above, families, ordinary
from habitus_profiler.programs import ASKING, FETCHERS, SEQUENCES, TAME


class Slot(NamedTuple):
    """One part on which security turns."""

    kind: str
    value: str


WORDS: Final = {
    "remote": "remote",
    "reach": "host reached by hand",
    "listen": "listening on every address by",
    "scheme": "URL scheme",
    "fetch": "kind of file fetched",
    "path": "path",
    "scratch": "place that anybody writes to, given by",
    "flag": "flag",
    "tuned": "tuning",
    "switch": "switched",
    "variable": "variable",
    "package": "package",
    "tree": "tree of names",
    "who": "acting as",
    "word": "telling word",
    "operator": "shell operator",
    "command": "command",
    "load": "code loaded",
    "entry": "code run",
    "code": "word in inline code",
    "blob": "encoded blob",
    "mode": "file mode",
    "sql": "SQL verb",
    "program": "way of naming the program",
    "layer": "program file in the layer",
    "overlong": "overlong command line",
}
"""kind → how a person reads it."""

_NONE: Final = frozenset[str]()
_OWN: Final = frozenset({"any", "loopback"})
_MAX_VALUES: Final = 4096
_ANYBODY: Final = 64
_MAX_CLUSTER: Final = 5
_MILD_LETTERS: Final = str.maketrans("", "", "hnqv")


class SlotBook:
    """The slots that one leaf has seen."""

    __slots__ = ("_letters", "_members", "seen")

    def __init__(self, seen: Iterable[tuple[str, str]] = ()) -> None:
        self.seen: dict[str, set[str]] = {}
        self._members: dict[tuple[str, str], int] = {}
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
        if slot.value in self.seen.get(slot.kind, ()) or self.is_kindred(slot):
            return True
        rule = _RULES.get(slot.kind)
        return rule is not None and rule(self, slot.value)

    def has(self, kind: str, value: str) -> bool:
        """Say whether exactly this was seen."""
        return value in self.seen.get(kind, ())

    def spells(self, command: str, name: str) -> bool:
        """Say whether a cluster of short flags has no letter that was not seen in one."""
        letters = name[1:].translate(_MILD_LETTERS)
        return _is_cluster(name) and self._letters.get(command, set()).issuperset(letters)

    def is_kindred(self, slot: Slot) -> bool:
        """Say whether enough values of one kind with this one were seen."""
        if not self.seen.get(slot.kind, _NONE).isdisjoint(above(*slot)):
            return True
        return any(self._members.get((slot.kind, key), 0) >= needed for key, needed in families(*slot))

    def records(self) -> list[tuple[str, str]]:
        """Return every slot in a stable order."""
        return sorted((kind, value) for kind, values in self.seen.items() for value in values)

    def _index(self, slot: Slot) -> None:
        for family in families(*slot):
            at = slot.kind, family.key
            self._members[at] = self._members.get(at, 0) + 1
        if slot.kind in {"flag", "tuned"}:
            command, _, name = slot.value.rpartition(" ")
            if _is_cluster(name):
                self._letters.setdefault(command, set()).update(name[1:])


def _is_cluster(name: str) -> bool:
    return 1 < len(name) <= _MAX_CLUSTER and name[0] == "-" and name[1:].isalpha()


def _remote(book: SlotBook, value: str) -> bool:
    seen = book.seen.get("remote", _NONE)
    if value == "loopback" or len(seen) >= _ANYBODY:
        return True
    # What spoke to nobody but its own machine has no others to speak to.
    return is_inside(value) and not ("loopback" in seen and seen <= _OWN)


def _reach(book: SlotBook, value: str) -> bool:
    remote = Slot("remote", value)
    return value == "loopback" or book.has(*remote) or book.is_kindred(remote)


def _listen(book: SlotBook, value: str) -> bool:
    del value  # a profile that was learned before this kind was told has none at all
    return "listen" not in book.seen and book.has("remote", "any")


def _flag(book: SlotBook, value: str) -> bool:
    command, _, name = value.rpartition(" ")
    return name in MILD_FLAGS or command in ASKING or book.has("tuned", value) or book.spells(command, name)


def _operator(book: SlotBook, value: str) -> bool:
    if value in SEQUENCES:
        return any(book.has("operator", at) for at in SEQUENCES)
    sign, space, place = value.partition(" ")
    if not space or sign not in _INTO:
        return False
    is_data = ordinary(place) == "data" and book.has("path", place)
    return is_data or any(book.has("operator", f"{at} {place}") for at in _INTO)


def _sql(book: SlotBook, value: str) -> bool:
    if value == "select":
        return "sql" in book.seen
    if value == "other":
        return True  # it neither tells, takes nor changes anything
    return value in _WRITES and any(book.has("sql", verb) for verb in _WRITES)


def _is_fetcher(book: SlotBook, value: str) -> bool:
    return value in FETCHERS and any(book.has("command", other) for other in FETCHERS)


_PLAIN_SCHEMES: Final = {"oci": "https"}
"""A registry of charts is spoken to by https."""
_INTO: Final = frozenset({">", ">>", ">|", "&>"})
_WRITES: Final = frozenset({"insert", "into", "update", "merge", "replace"})

_RULES: Final[dict[str, Callable[[SlotBook, str], bool]]] = {
    "remote": _remote,
    "reach": _reach,
    "listen": _listen,
    "flag": _flag,
    "tuned": lambda *_: True,
    "variable": lambda book, value: book.has("tuned", f"{value}="),
    "tree": lambda book, _: "tree" not in book.seen,
    "load": lambda book, value: any(seen.startswith(f"{value} ") for seen in book.seen.get("load", ())),
    "sql": _sql,
    "who": lambda book, _: "who" not in book.seen,
    "scratch": lambda book, _: "scratch" not in book.seen,
    "command": lambda book, value: value in ASKING or value in TAME or _is_fetcher(book, value),
    "operator": _operator,
    "scheme": lambda book, value: book.has("scheme", _PLAIN_SCHEMES.get(value, value.removesuffix("s"))),
}
"""kind → what else than its like makes a value known."""

# SPDX-License-Identifier: Apache-2.0
"""What the manual of a program says of its flags and subcommands (`manuals/*.page.toml`; see README there).

A page is asked before a name is: `--purge` of a package manager is everyday work, `--pidfile` of a server
harmless, `-g` of another one code. A flag counts by one of its spellings, `-U` as `--username`.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final, NamedTuple

from habitus_profiler.hazards import CODE, CREDENTIALS, OBEYED, PROTECTIONS
from habitus_profiler.naming import parts_of, unprotects
from habitus_profiler.programs import CODE_FLAGS, TAME
from habitus_profiler.slots import Slot
from habitus_profiler.volatile import softened

FLAGS: Final = ("mild", "data", "hosts", "code", "grave")
WORDS: Final = ("asks", "daily", "acts")
SIGNS: Final = ("names", "runs")
KEYS: Final = frozenset({"also", "same", *SIGNS, *FLAGS, *WORDS})
_PARTS: Final = re.compile(r"[,:;]")
_LONGEST: Final = 400
_CLUSTER: Final = re.compile(r"-[A-Za-z0-9]{2,6}\Z")
OFF: Final = frozenset({"false", "no", "off", "0"})
_HEAD: Final = re.compile(
    r"""^\["?([^\]"\n]+)"?\]\n(?:also = (?:"([^"]+)"|\"{3}\n(.*?)\"{3})\n)?""", re.MULTILINE | re.DOTALL
)
"""The first table of a file: a program's name, and its others."""
_OBEYED: Final = (
    frozenset({"post", "upload", "identity", "private", "registry", "include"})
    | CODE | CREDENTIALS | OBEYED | PROTECTIONS
)  # fmt: skip
"""A file that is named behind these is sent, run or believed."""
_KEYS: Final = ("key", "cert", "keyfile", "certfile", "cafile")
_NONE: Final = frozenset[str]()
_VERSION: Final = re.compile(r"[-.]?\d+(?:\.\d+)*\Z")


class ManualFault(ValueError):
    """A page that cannot be read; the text names the file, the page and the key."""


class Page(NamedTuple):
    """The manual of a program or of one of its subcommands (`below`); every spelling of a flag is there."""

    below: dict[str, "Page"]
    same: Mapping[str, str] = MappingProxyType({})
    mild: frozenset[str] = _NONE
    data: frozenset[str] = _NONE
    hosts: frozenset[str] = _NONE
    code: frozenset[str] = _NONE
    grave: frozenset[str] = _NONE
    asks: frozenset[str] = _NONE
    daily: frozenset[str] = _NONE
    acts: frozenset[str] = _NONE
    names: bool = False
    runs: bool = False

    def flag_in(self, word: str) -> str:
        """Return the flag that a word begins with, where its value is joined to it: `-F,`, `--to:.a=b`."""
        name = word.partition("=")[0]
        if name in self.same or self.takes(name) or name in self.grave:
            return name
        return next((each for each in (name.partition(":")[0], name[:2]) if self.takes(each)), name)

    def spelt(self, flag: str) -> str:
        """Return the spelling by which a flag counts."""
        return self.same.get(flag, flag)

    def lets(self, flag: str) -> bool:
        """Say whether a plain word behind the flag can do no harm."""
        return flag in self.mild or flag in self.data

    def takes(self, flag: str) -> bool:
        """Say whether the page says what stands behind a flag."""
        return self.lets(flag) or flag in self.hosts or flag in self.code

    def holds(self, flag: str) -> bool:
        """Say whether what stands behind a flag is surely its value; a mild one may be a switch."""
        return flag in self.data or flag in self.hosts or flag in self.code

    def commands(self, flag: str) -> bool:
        """Say whether a text behind a flag, or behind letters such as `-rx`, is a command of this program."""
        if flag in self.code:
            return True
        return _CLUSTER.match(flag) is not None and any(f"-{letter}" in self.code for letter in flag[1:])

    def is_mild(self, flag: str) -> bool | None:
        """Say whether the flag itself can do no harm, None where the page does not say."""
        if flag in self.grave:
            return False
        if self.lets(flag) or flag in self.hosts:
            return None if _is_doubtful(flag, is_data=flag in self.data) else True
        if not _CLUSTER.match(flag) or flag in self.code or flag in self.same:
            return None
        letters = {f"-{letter}" for letter in flag[1:]}
        return True if all(map(self.lets, letters)) else None

    def graves(self, flag: str, word: str) -> Iterator[Slot]:
        """Yield what is grave in an argument, or in it as the value of `flag`."""
        if not self.grave:
            return
        name, equals, value = word[:_LONGEST].partition("=")
        if word[:1] in {"-", "+"}:
            if value.lower() not in OFF and value not in TAME:
                yield from (Slot("switch", self.spelt(each)) for each in self._flags(name))
            flag = name
        elif not equals:
            value = word[:_LONGEST]
        else:
            if name in self.grave and value.lower() not in OFF:
                yield Slot("switch", name)
            yield from self._valued(name, value)
            value = word[:_LONGEST]
        if value and flag:
            yield from self._valued(flag, value)

    def _flags(self, name: str) -> Iterable[str]:
        if name in self.grave:
            return (name,)
        if not _CLUSTER.match(name) or self.takes(name) or name in self.same:
            return ()
        flags = [f"-{letter}" for letter in name[1:]]
        known = all(flag in self.grave or self.takes(flag) for flag in flags)
        return (flag for flag in flags if flag in self.grave) if known else ()

    def _valued(self, flag: str, value: str) -> Iterator[Slot]:
        for part in dict.fromkeys((value, *_PARTS.split(value))):
            if f"{flag}={part}" in self.grave:
                yield Slot("switch", f"{self.spelt(flag)}={part}")

    def acted(self, flag: str, word: str) -> Iterator[Slot]:
        """Yield a plain word by which this program harms, where it is no flag's value."""
        if word in self.acts and not self.holds(flag):
            yield Slot("word", word)

    def behind(self, flag: str, word: str) -> "Page":
        """Return the page that counts behind a plain word: that of a subcommand, or of what is run."""
        if self.holds(flag):
            return self
        return page(stem(word)) if self.runs else self.below.get(word, self)


@lru_cache(maxsize=4096)
def _is_doubtful(flag: str, *, is_data: bool) -> bool:
    """Say whether a flag's name says more than a page is believed to know: no protection, keys, settings."""
    parts = parts_of(flag) if len(flag) > len("-xx") else ()
    if not parts:
        return False
    if is_data and (not _OBEYED.isdisjoint(parts) or parts[-1].endswith(_KEYS)):
        return True
    return unprotects(parts)


BLANK: Final = Page({})
"""Of a program that no page names."""

_own: Final[dict[str, Traversable]] = {}


def add(folder: Traversable) -> int:
    """Take the pages of a folder; they go before those that come along. Returns how many programs they name.

    Raises:
        ManualFault: no folder, or one of its pages cannot be read.
    """
    try:
        found = _indexed(folder, lambda file: read(file.name, file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as fault:
        raise ManualFault(f"{folder}: {fault}") from None
    _own.clear()
    _own.update(found)
    programs.cache_clear()
    page.cache_clear()
    return len(found)


@lru_cache(maxsize=1)
def programs() -> dict[str, Traversable]:
    """Return the file of each program's page, by each of the program's names.

    Raises:
        ManualFault: two files have a page of one name.
    """
    return _indexed(files("habitus_profiler") / "manuals", _names_at_a_glance) | _own


def _names_at_a_glance(file: Traversable) -> Iterable[str]:
    """Return a program's names as our own pages are written, without reading the page: there are many."""
    head = _HEAD.search(file.read_text("utf-8"))
    return (head[1], *(head[2] or head[3] or "").split()) if head else ()


def _indexed(folder: Traversable, names: Callable[[Traversable], Iterable[str]]) -> dict[str, Traversable]:
    found: dict[str, Traversable] = {}
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".page.toml"):
            continue
        for name in names(file):
            if name in found:
                raise ManualFault(f"{file.name}: [{name}] has a page in {found[name].name}")
            found[name] = file
    return found


@lru_cache(maxsize=256)
def page(program: str) -> Page:
    """Return the page of a program, or that of its name without a version (`psql-16`)."""
    for name in (program, _VERSION.sub("", program)):
        file = programs().get(name)
        if file is not None:
            return read(file.name, file.read_text("utf-8"))[name]
    return BLANK


def read(source: str, text: str) -> dict[str, Page]:
    """Return the pages of one file, by each of their names.

    Raises:
        ManualFault: no TOML, or a page with a key or value that none has.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ManualFault(f"{source}: {fault}") from None
    found: dict[str, Page] = {}
    for title in sorted(tables, key=lambda each: each.count(" ")):
        table = tables[title]
        _checked(source, title, table)
        head = title.rpartition(" ")[0]
        if head and title.partition(" ")[0] not in found:
            raise ManualFault(f"{source}: [{title}]: its program has no page")
        _put(found, title, table)
    return {title: page for title, page in found.items() if " " not in title}


def _put(found: dict[str, Page], title: str, table: Mapping[str, str]) -> None:
    """Put a page to its program's, by each of its names; what lies between without a page is its parent's."""
    head, _, name = title.rpartition(" ")
    if head and head not in found:
        _put(found, head, {})
    found[title] = page = _page(table, found.get(head, BLANK))
    names = (name, *table.get("also", "").split())
    (found[head].below if head else found).update(dict.fromkeys(names, page))


def _checked(source: str, title: str, table: object) -> None:
    for key, value in table.items() if isinstance(table, dict) else (("", table),):
        if key not in KEYS or not isinstance(value, bool if key in SIGNS else str):
            raise ManualFault(f"{source}: [{title}]: {key or 'no table'}: no key of a page, or no such value")


def _page(table: Mapping[str, str], parent: Page) -> Page:
    groups = [group.split() for group in table.get("same", "").split(",")]
    same = dict(parent.same) | {flag: group[-1] for group in groups for flag in group if flag != group[-1]}
    spellings: dict[str, list[str]] = {}
    for flag, spelt in same.items():
        spellings.setdefault(spelt, [spelt]).append(flag)
    own = {key: _spelt(table.get(key, ""), same, spellings) for key in FLAGS}
    named = frozenset().union(*own.values())
    flags = {key: own[key] | (getattr(parent, key) - named) for key in FLAGS}
    said = {key: frozenset(table.get(key, "").split()) for key in WORDS}
    spoken = frozenset().union(*said.values())
    words = {key: said[key] | (getattr(parent, key) - spoken) for key in WORDS}
    return Page({}, same, names=bool(table.get("names")), runs=bool(table.get("runs")), **flags, **words)


def _spelt(text: str, same: Mapping[str, str], spellings: Mapping[str, list[str]]) -> frozenset[str]:
    """Return flags in every spelling; of `--flag=value`, the flag."""
    found: set[str] = set()
    for word in text.split():
        flag, equals, value = word.partition("=")
        flag = same.get(flag, flag)
        found.update(f"{each}{equals}{value}" for each in spellings.get(flag, [flag]))
    return frozenset(found)


def page_of(form: str) -> Page:
    """Return the page of the program in a normal form; an interpreter's is that of what it runs."""
    first, _, rest = form.partition(" ")
    name = first.rpartition("/")[2]
    if name not in CODE_FLAGS:
        return page(name)
    script = page(stem(next((each for each in rest.split(" ") if each[:1] != "-"), "")))
    return page(name) if script is BLANK else script


def stem(script: str) -> str:
    """Return the name of the program that a script or module is: `celery`, `npm`, `manage`."""
    return script.rsplit("/", 1)[-1].partition(".")[0] or script


def told_again(text: str) -> Iterator[Slot]:
    """Yield what a page says of the flags in a normal form: for profiles that were learned without it."""
    at, flag = page_of(text), ""
    for word in text.split(" ")[1:]:
        name = word.partition("=")[0]
        if word[:1] == "-":
            yield Slot("flag", at.spelt(softened(name)))
        yield from at.graves(flag, word)
        yield from at.acted(flag, word)
        if word[:1] != "-":
            at = at.behind(flag, word)
        flag = name if word[:1] == "-" and name == word else ""

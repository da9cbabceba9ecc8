# SPDX-License-Identifier: Apache-2.0
"""Folders of rules, Sigma's and Falco's: what loads becomes a rule set, what does not is named."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from sigma.rule.base import SigmaYAMLLoader

from habitus_scorer.falco import reading as falco
from habitus_scorer.falco.loading import Book
from habitus_scorer.rule_index import RuleIndex
from habitus_scorer.rules_model import Refusal, Rule
from habitus_scorer.sigma import reading as sigma
from habitus_scorer.sigma.fields import Record

_TEST_FILE: Final = "test.yml"
_MAX_BYTES: Final = 1 << 20

Stamp = tuple[int, int, int]
"""Of a file: inode, size, time of its last change in nanoseconds."""


class RuleSet:
    """Rules by id; a rule of a later folder replaces one of the same id.

    Files that did not change since `former` was read are not parsed again.
    """

    def __init__(self, folders: Iterable[Path], former: "RuleSet | None" = None) -> None:
        self.rules: dict[str, Rule] = {}
        self.refused: list[Refusal] = []
        self.read: dict[Path, tuple[Stamp | None, list[Rule | Refusal]]] = {}
        self._former = former.read if former else {}
        for folder in folders:
            self._add(folder)
        self._former = {}
        self._index = RuleIndex(self.rules.values())

    def hits(self, record: Record) -> list[Rule]:
        """Return the rules that hold for `record`, weightiest first."""
        return sorted(self._index.hits(record), key=lambda rule: (-rule.points, rule.id))

    def _add(self, folder: Path) -> None:
        fresh: dict[str, Rule] = {}
        for read in self._read_folder(folder):
            if isinstance(read, Rule) and read.id in fresh:
                reason = f"rule {read.id!r} stands in {fresh[read.id].source} already"
                self.refused.append(Refusal(read.source, 1, reason))
            elif isinstance(read, Rule):
                fresh[read.id] = read
            else:
                self.refused.append(read)
        self.rules |= fresh

    def _read_folder(self, folder: Path) -> Iterator[Rule | Refusal]:
        book = Book()
        for path in files_of(folder):
            stamp = stamp_of(path)
            known = self._former.get(path)
            if known is None or known[0] != stamp or stamp is None:
                known = (stamp, list(read_file(path, book)))
            if known[1]:  # a Falco file has given nothing of its own: it is read again with the others
                self.read[path] = known
            yield from known[1]
        yield from falco.rules_of(book)


def files_of(folder: Path) -> list[Path]:
    """Return the rule files below `folder` in the order of their paths; `test.yml` holds cases, no rule.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of rules")
    found = sorted((*folder.rglob("*.yml"), *folder.rglob("*.yaml")))
    return [path for path in found if path.name != _TEST_FILE]


def stamp_of(path: Path) -> Stamp | None:
    """Return what changes when a file is written or replaced; None when it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def read_file(path: Path, book: Book) -> Iterator[Rule | Refusal]:
    """Yield the Sigma rules of one file, each a YAML document; a Falco file goes into `book` instead."""
    try:
        text = _text(path)
        if falco.is_falco(text):
            book.read(path, text)
            return
        documents = [item for item in yaml.load_all(text, SigmaYAMLLoader) if item is not None]
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        yield Refusal(path, _mark_line(error), sigma.first_line(error))
        return
    if not documents:
        yield Refusal(path, 1, "the file holds no rule")
    for document in documents:
        yield sigma.rule_of(path, text, document)


def _text(path: Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    return path.read_text(encoding="utf-8")


def _mark_line(error: Any) -> int:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 1

# SPDX-License-Identifier: Apache-2.0
"""Folders of Sigma rules: what loads becomes a rule set, what does not is named with its line."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sigma import exceptions as sigma_exceptions
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from sigma.rule.base import SigmaYAMLLoader

from habitus.languages import Bilingual
from habitus.text import printable
from habitus_scorer.sigma.compiling import compiled
from habitus_scorer.sigma.fields import CATEGORIES, Record
from habitus_scorer.sigma.matching import Predicate, Unsupported

log = logging.getLogger(__name__)

SCALE: Final = 40.0
"""Points of rules are written on this scale, whatever the engine's weight is."""

LEVEL_POINTS: Final = {"informational": 0.0, "low": 10.0, "medium": 20.0, "high": 30.0, "critical": 40.0}
LEVELS: Final = tuple(LEVEL_POINTS)

_TEST_FILE: Final = "test.yml"
_MAX_BYTES: Final = 1 << 20
_KEY_OF: Final[tuple[tuple[type[SigmaError], str], ...]] = (
    (sigma_exceptions.SigmaLevelError, "level"),
    (sigma_exceptions.SigmaTitleError, "title"),
    (sigma_exceptions.SigmaTagError, "tags"),
    (sigma_exceptions.SigmaIdentifierError, "id"),
    (sigma_exceptions.SigmaLogsourceError, "logsource"),
    (sigma_exceptions.SigmaConditionError, "condition"),
)


class Extras(BaseModel):
    """The rule's own key `habitus`: what Sigma has no word for."""

    model_config = ConfigDict(extra="forbid")

    points: float | None = Field(default=None, ge=0, le=SCALE)
    title_zh: str | None = None
    advice: Bilingual | None = None


@dataclass(frozen=True)
class Rule:
    """One rule that can be evaluated. `points` is on the scale of 0 … 40."""

    id: str
    title: Bilingual
    level: str
    points: float
    techniques: tuple[str, ...]
    advice: Bilingual | None
    categories: frozenset[str]
    test: Predicate
    source: Path

    def hits(self, record: Record) -> bool:
        """Say whether the rule's log source and detection hold for `record`."""
        return (not self.categories or not self.categories.isdisjoint(record.categories)) and self.test(
            record
        )


class Refusal(NamedTuple):
    """A rule that is not used, and why, in one line."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return printable(f"{self.file}:{self.line}: {self.reason}", 400)


class RuleSet:
    """Rules by id; a rule of a later folder replaces one of the same id."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.rules: dict[str, Rule] = {}
        self.refused: list[Refusal] = []
        for folder in folders:
            self._add(folder)

    def hits(self, record: Record) -> list[Rule]:
        """Return the rules that hold for `record`, weightiest first."""
        found = [rule for rule in self.rules.values() if rule.hits(record)]
        return sorted(found, key=lambda rule: (-rule.points, rule.id))

    def _add(self, folder: Path) -> None:
        fresh: dict[str, Rule] = {}
        for read in read_folder(folder):
            if isinstance(read, Rule) and read.id in fresh:
                reason = f"rule {read.id!r} stands in {fresh[read.id].source} already"
                self.refused.append(Refusal(read.source, 1, reason))
            elif isinstance(read, Rule):
                fresh[read.id] = read
            else:
                self.refused.append(read)
        self.rules |= fresh


def read_folder(folder: Path) -> Iterator[Rule | Refusal]:
    """Yield every rule below `folder` in the order of paths; `test.yml` holds cases, no rule.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of rules")
    for path in sorted((*folder.rglob("*.yml"), *folder.rglob("*.yaml"))):
        if path.name != _TEST_FILE:
            yield from read_file(path)


def read_file(path: Path) -> Iterator[Rule | Refusal]:
    """Yield the rules of one file, each a YAML document."""
    try:
        text = _text(path)
        documents = [item for item in yaml.load_all(text, SigmaYAMLLoader) if item is not None]
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        yield Refusal(path, _mark_line(error), _first_line(error))
        return
    if not documents:
        yield Refusal(path, 1, "the file holds no rule")
    for document in documents:
        yield _read(path, text, document)


def _text(path: Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    return path.read_text(encoding="utf-8")


def _read(path: Path, text: str, document: Any) -> Rule | Refusal:
    try:
        return _rule(path, document)
    except Unsupported as fault:
        return Refusal(path, _line_of(text, fault.key), str(fault))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("habitus", *first["loc"])))
        return Refusal(path, _line_of(text, str(place).rsplit(".", 1)[-1]), f"{place}: {first['msg']}")
    except SigmaError as error:
        key = next((key for kind, key in _KEY_OF if isinstance(error, kind)), "detection")
        return Refusal(path, _line_of(text, key), _first_line(error))
    except Exception as error:  # noqa: BLE001  # whatever one file makes the parser raise, the rest stays
        return Refusal(path, 1, f"not a Sigma rule: {type(error).__name__}: {_first_line(error)}")


def _rule(path: Path, document: Any) -> Rule:
    if not isinstance(document, dict):
        raise Unsupported("not a mapping", "")
    for key in ("correlation", "filter", "action"):
        if key in document:
            raise Unsupported(f"{key!r} documents are not evaluated", key)
    sigma = SigmaRule.from_dict(document)
    extras = Extras.model_validate(document.get("habitus") or {})
    level = sigma.level.name.lower() if sigma.level else "medium"
    return Rule(
        id=sigma.name or (str(sigma.id) if sigma.id else path.stem),
        title=Bilingual(en=sigma.title, zh=extras.title_zh or sigma.title),
        level=level,
        points=LEVEL_POINTS[level] if extras.points is None else extras.points,
        techniques=_techniques(sigma),
        advice=extras.advice,
        categories=_categories(sigma),
        test=compiled(sigma),
        source=path,
    )


def _categories(sigma: SigmaRule) -> frozenset[str]:
    source = sigma.logsource
    if source.product not in (None, "linux"):
        raise Unsupported(f"log source product {source.product!r} is not ours", "product")
    if source.service:
        raise Unsupported(f"log source service {source.service!r} is not collected", "service")
    if source.category is None:
        return frozenset()
    if source.category not in CATEGORIES:
        raise Unsupported(f"log source category {source.category!r} is not collected", "category")
    return frozenset({source.category})


def _techniques(sigma: SigmaRule) -> tuple[str, ...]:
    tags = (tag.name.upper() for tag in sigma.tags if tag.namespace == "attack")
    return tuple(name for name in tags if name[:1] == "T" and name[1:5].isdigit())


def _mark_line(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 1


def _first_line(error: Exception) -> str:
    text = getattr(error, "problem", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]


def _line_of(text: str, key: str) -> int:
    """Return the line of the first mapping key that is `key`, alone or before a modifier; else 1."""
    for node in yaml.compose_all(text, yaml.CSafeLoader):
        for name, line in _keys(node):
            if name.split("|", 1)[0] == key:
                return line
    return 1


def _keys(root: Any) -> Iterator[tuple[str, int]]:
    seen: set[int] = set()  # aliases share nodes: each is walked once
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from ((str(key.value), key.start_mark.line + 1) for key, _ in node.value)
            waiting += [value for _, value in reversed(node.value)]
        else:
            waiting += reversed(node.value)

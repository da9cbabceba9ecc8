# SPDX-License-Identifier: Apache-2.0
"""A Sigma document becomes a rule, or a refusal that names the rule and its line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sigma import exceptions as sigma_exceptions
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from habitus.languages import Bilingual
from habitus_scorer.rules_model import LEVEL_POINTS, SCALE, Refusal, Rule, version_of
from habitus_scorer.sigma import auditd
from habitus_scorer.sigma.compiling import compiled
from habitus_scorer.sigma.faults import Unsupported
from habitus_scorer.sigma.fields import CATEGORIES

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


def rule_of(path: Path, text: str, document: Any) -> Rule | Refusal:
    """Return the rule that `document`, one of those in `text`, holds."""
    try:
        return _rule(path, document)
    except Unsupported as fault:
        return _refused(path, document, _line_of(text, fault.key), str(fault))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("habitus", *first["loc"])))
        line = _line_of(text, str(place).rsplit(".", 1)[-1])
        return _refused(path, document, line, f"{place}: {first['msg']}")
    except SigmaError as error:
        key = next((key for kind, key in _KEY_OF if isinstance(error, kind)), "detection")
        return _refused(path, document, _line_of(text, key), first_line(error))
    except Exception as error:  # noqa: BLE001  # whatever one file makes the parser raise, the rest stays
        return _refused(path, document, 1, f"not a Sigma rule: {type(error).__name__}: {first_line(error)}")


def _refused(path: Path, document: Any, line: int, reason: str) -> Refusal:
    named = document.get("name") or document.get("title") if isinstance(document, dict) else None
    return Refusal(path, line, f"rule {named!r}: {reason}" if named else reason)


def _rule(path: Path, document: Any) -> Rule:
    if not isinstance(document, dict):
        raise Unsupported("not a mapping", "")
    for key in ("correlation", "filter", "action"):
        if key in document:
            raise Unsupported(f"{key!r} documents are not evaluated", key)
    sigma = SigmaRule.from_dict(document)
    extras = Extras.model_validate(document.get("habitus") or {})
    level = sigma.level.name.lower() if sigma.level else "medium"
    categories = _categories(sigma)
    condition = compiled(sigma, auditd.rename if sigma.logsource.service == auditd.SERVICE else None)
    return Rule(
        id=sigma.name or (str(sigma.id) if sigma.id else path.stem),
        title=Bilingual(en=sigma.title, zh=extras.title_zh or sigma.title),
        level=level,
        points=LEVEL_POINTS[level] if extras.points is None else extras.points,
        techniques=_techniques(sigma),
        advice=extras.advice,
        categories=categories,
        test=condition.holds,
        source=path,
        needs=condition.needs,
        ways=condition.ways,
        version=version_of(document),
    )


def _categories(sigma: SigmaRule) -> frozenset[str]:
    source = sigma.logsource
    if source.product not in (None, "linux"):
        raise Unsupported(f"log source product {source.product!r} is not ours", "product")
    if source.service == auditd.SERVICE and source.category is None:
        return frozenset({auditd.SERVICE})
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


def first_line(error: Exception) -> str:
    """Return what an error says first."""
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

# SPDX-License-Identifier: Apache-2.0
"""Falco's rules become rules of the rule engine, each refused by name and line where it cannot be."""

import re
from collections.abc import Iterator
from typing import Final

from habitus.languages import Bilingual
from habitus.text import printable
from habitus_scorer.falco.compiling import Compiler, Decided
from habitus_scorer.falco.grammar import Many, Node, Not
from habitus_scorer.falco.loading import BESIDE, KINDS, Book, Item, exceptions_of, tree_of
from habitus_scorer.rules_model import LEVEL_POINTS, Refusal, Rule, version_of
from habitus_scorer.sigma.faults import Unsupported

_LEVELS: Final = {
    "emergency": "critical",
    "alert": "critical",
    "critical": "critical",
    "error": "high",
    "warning": "medium",
    "notice": "low",
    "info": "informational",
    "informational": "informational",
    "debug": "informational",
}
_TECHNIQUE: Final = re.compile(r"T\d{4}(\.\d{3})?")
_ITEM: Final = re.compile(rf"^ *- +(?:{'|'.join((*KINDS, *BESIDE))})\s*:", re.MULTILINE)


def is_falco(text: str) -> bool:
    """Say whether a YAML text is a Falco rule file: a list of rules, macros and lists."""
    first = next((line for line in text.splitlines() if line.strip() and line[0] not in "#%-"), "-")
    return first[0] in " -" and _ITEM.search(text) is not None


def rules_of(book: Book) -> Iterator[Rule | Refusal]:
    """Yield the rules of the files in `book`, and why which items are not used."""
    macros, lists = book.macros(), book.lists()
    compiler, beside = Compiler(macros, lists), version_of((macros, lists))
    rules = [_rule_or_refusal(item, compiler, beside) for item in book.rules()]
    yield from (Refusal(fault.file, fault.line, fault.reason) for fault in book.faults)
    yield from (rule for rule in rules if rule is not None)


def _rule_or_refusal(item: Item, compiler: Compiler, beside: str) -> Rule | Refusal | None:
    if item.keys.get("enabled") is False:
        return None
    compiler.begin()
    try:
        return _rule(item, compiler, beside)
    except (Unsupported, ValueError) as error:
        return Refusal(item.file, item.line, f"rule {item.name!r}: {printable(str(error), 300)}")


def _rule(item: Item, compiler: Compiler, beside: str) -> Rule:
    source = item.keys.get("source", "syscall")
    if source != "syscall":
        raise Unsupported(f"its source {source!r} is not collected", "source")
    priority = str(item.keys.get("priority", "")).lower()
    if priority not in _LEVELS:
        raise Unsupported(f"priority {priority!r} is none of Falco's", "priority")
    test = compiler.compiled(_whole(item))
    if isinstance(test, bool):
        raise Unsupported(_never(test, compiler), "condition")
    level = _LEVELS[priority]
    tags = [str(tag) for tag in item.keys.get("tags") or []]
    return Rule(
        id=f"falco: {item.name}",
        title=Bilingual(en=item.name, zh=item.name),
        level=level,
        points=LEVEL_POINTS[level],
        techniques=tuple(tag for tag in tags if _TECHNIQUE.fullmatch(tag)),
        advice=None,
        categories=frozenset(),
        test=test.holds,
        source=item.file,
        needs=test.needs,
        ways=test.ways,
        narrowed=tuple(sorted(compiler.narrowed)),
        version=version_of((item.keys, beside)),
    )


def _whole(item: Item) -> Node:
    condition, passed = tree_of(item), exceptions_of(item)
    return Many("and", (condition, Not(passed))) if passed else condition


def _never(test: Decided, compiler: Compiler) -> str:
    if test is True:
        return "its condition holds for every event"
    lacking = ", ".join(sorted(compiler.narrowed))
    calls = f": it asks for system calls that are not collected ({lacking})" if lacking else ""
    return f"its condition holds for no event{calls}"

# SPDX-License-Identifier: Apache-2.0
"""Which rules may hold for an event: one pass over its text tells which needed literals occur.

A rule of which a needed clause is absent is not evaluated, and of one that is left only the ways to hold
of which none is absent: the index decides nothing by itself. Log sources come first: each kind of event
has a part of its own, and each of an event's fields is looked through for its own literals.
Python's `re` finds no alternatives that overlap, and a search for each of 1,400 literals costs more than
the rules: hence ahocorasick-rs.
"""

from collections.abc import Iterable
from typing import Final

from ahocorasick_rs import AhoCorasick

from habitus_scorer.needs import Clause, Literal, Needs, Source, fold
from habitus_scorer.rules_model import Rule
from habitus_scorer.sigma.fields import Record

_FRAME: Final = "\x01"
"""Stands before and after each text of a field, so that a literal can say that it begins or ends it.

Texts may contain it: then a rule too many is evaluated, never one too few.
"""


class RuleIndex:
    """The rules, by the log sources of an event."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = list(rules)
        self._parts: dict[tuple[str, ...], _Part] = {}

    def hits(self, record: Record) -> list[Rule]:
        """Return the rules that hold for `record`, in their order."""
        part = self._parts.get(record.categories)
        if part is None:
            part = self._parts[record.categories] = _Part(
                rule
                for rule in self._rules
                if not rule.categories or not rule.categories.isdisjoint(record.categories)
            )
        return part.hits(record)


class _Part:
    """The rules of one kind of event. Each clause is a bit; a rule asks for the bits of its clauses."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        bits: dict[Clause, int] = {}
        self._rules = [
            (
                _bits_of(rule.needs, bits),
                [(_bits_of(way.needs, bits), way.holds) for way in rule.ways] or [(0, rule.test)],
                rule,
            )
            for rule in rules
        ]
        marks: dict[Source, dict[str, int]] = {}
        for clause, bit in bits.items():
            for literal in clause:
                of_source = marks.setdefault(literal.source, {})
                framed = _framed(literal)
                of_source[framed] = of_source.get(framed, 0) | bit
        self._fields = [(source, _Field(literals)) for source, literals in marks.items()]

    def hits(self, record: Record) -> list[Rule]:
        found = self._found(record)
        return [
            rule
            for asked, ways, rule in self._rules
            if found & asked == asked
            and any(found & needed == needed and holds(record) for needed, holds in ways)
        ]

    def _found(self, record: Record) -> int:
        found = 0
        for source, field in self._fields:
            if texts := source.texts(record):
                found |= field.found(fold(f"{_FRAME}{_FRAME.join(texts)}{_FRAME}"))
        return found


class _Field:
    """The literals that are looked for in one field of an event."""

    def __init__(self, literals: dict[str, int]) -> None:
        self._marks = list(literals.values())
        self._automaton = AhoCorasick(list(literals))

    def found(self, text: str) -> int:
        found, marks = 0, self._marks
        for at, _, _ in self._automaton.find_matches_as_indexes(text, overlapping=True):
            found |= marks[at]
        return found


def _bits_of(needs: Needs, bits: dict[Clause, int]) -> int:
    asked = 0
    for clause in needs:
        asked |= bits.setdefault(clause, 1 << len(bits))
    return asked


def _framed(literal: Literal) -> str:
    return f"{_FRAME if literal.start else ''}{literal.text}{_FRAME if literal.end else ''}"

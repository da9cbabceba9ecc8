# SPDX-License-Identifier: Apache-2.0
"""Which rules may hold for an event: one pass over its text tells which needed literals occur.

A rule of which a needed clause is absent is not evaluated. One that is left is evaluated in full, so
the index decides nothing by itself. Log sources come first: each kind of event has a part of its own.
Python's `re` finds no alternatives that overlap, and a search for each of 1,400 literals costs more than
the rules: hence ahocorasick-rs.
"""

from collections.abc import Iterable
from typing import Final

from ahocorasick_rs import AhoCorasick

from habitus_scorer.needs import Clause, Literal, Source, fold
from habitus_scorer.rules_model import Rule
from habitus_scorer.sigma.fields import Record

_FRAMES: Final = [chr(code) for code in range(1, 32) if chr(code) not in "\t\n\r"]
"""One stands before and after each text of a field, so that a literal can say that it begins or ends it.

Fields may share one, and texts may contain one: then a rule too many is evaluated, never one too few.
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
        self._rules = [(_bits_of(rule, bits), rule) for rule in rules]
        sources = dict.fromkeys(literal.source for clause in bits for literal in clause)
        self._sources = [(source, _FRAMES[at % len(_FRAMES)]) for at, source in enumerate(sources)]
        frames = dict(self._sources)
        marks: dict[str, int] = {}
        for clause, bit in bits.items():
            for literal in clause:
                framed = _framed(literal, frames)
                marks[framed] = marks.get(framed, 0) | bit
        self._marks = list(marks.values())
        self._automaton = AhoCorasick(list(marks))

    def hits(self, record: Record) -> list[Rule]:
        found = self._found(record)
        return [rule for asked, rule in self._rules if found & asked == asked and rule.test(record)]

    def _found(self, record: Record) -> int:
        text = fold(
            "".join(
                f"{frame}{frame.join(texts)}{frame}"
                for source, frame in self._sources
                if (texts := source.texts(record))
            )
        )
        found, marks = 0, self._marks
        for at, _, _ in self._automaton.find_matches_as_indexes(text, overlapping=True):
            found |= marks[at]
        return found


def _bits_of(rule: Rule, bits: dict[Clause, int]) -> int:
    asked = 0
    for clause in rule.needs:
        asked |= bits.setdefault(clause, 1 << len(bits))
    return asked


def _framed(literal: Literal, frames: dict[Source, str]) -> str:
    frame = frames[literal.source]
    return f"{frame if literal.start else ''}{literal.text}{frame if literal.end else ''}"

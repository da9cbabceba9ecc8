# SPDX-License-Identifier: Apache-2.0
"""What must occur in an event for a condition to hold: so most rules need not be evaluated.

A condition's needs are clauses: of each clause at least one literal occurs wherever the condition holds.
None is always true to say, and says nothing. What follows from the tree of a condition:

    and: the clauses of every part        or: one clause of each part, together; none where a part has none
    not: none                             a comparison: the text that it compares with
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from habitus.anomalies import Anomaly
from habitus_scorer.sigma.fields import Found, Record, Value

Predicate = Callable[[Record], bool]

_CLAUSES: Final = 4
"""Kept of each condition, the best: further ones would hardly keep a rule out."""
_LITERALS: Final = 4096
"""A clause of more is dropped."""
_COMMON: Final = frozenset({
    "Event.Op", "Event.Class", "File.Flags", "User", "Uid", "Protocol", "Initiated", "Anomaly.Reason",
    "Process.ExeClass", "auditd.type", "auditd.nametype", "falco evt.type", "falco syscall.type",
    "falco user.uid", "falco user.name", "falco fd.type", "falco fd.typechar", "falco fd.l4proto",
    "falco fd.sockfamily", "falco evt.is_open_read", "falco evt.is_open_write",
})  # fmt: skip
"""Fields of few values: that one of them occurs tells little."""
_WAYS: Final = 256
"""A condition of more ways is one way of its own."""
_EQUAL: Final = str.maketrans({"ı": "i", "ſ": "s", "ς": "σ", "\u0307": None})


class Source(NamedTuple):
    """Where a text is looked for: a field, by its name; `read` where the name alone does not say how."""

    name: str
    read: Callable[[Anomaly], Found | Sequence[Value]] | None = None

    def texts(self, record: Record) -> tuple[str, ...]:
        """Return what the field holds, as text."""
        return record.texts(self.name) if self.read is None else record.under(self.name, self.read)


class Literal(NamedTuple):
    """A folded text that a value of the field contains; `start`, `end`: at its beginning, at its end."""

    source: Source
    text: str
    start: bool = False
    end: bool = False


Clause = frozenset[Literal]
Needs = tuple[Clause, ...]


class Condition(NamedTuple):
    """Whether it holds for a record, and what must occur in the record for that.

    `ways`: the condition holds wherever one of these does, and nowhere else. None: it is its only way.
    """

    holds: Predicate
    needs: Needs = ()
    ways: "tuple[Condition, ...]" = ()


def fold(text: str) -> str:
    """Return `text` without regard to case, character by character.

    So what begins, ends or contains another does so folded, too, also as a regular expression without
    regard to case has it: for that `İ`, `ı` are `i` and `ſ` is `s`. No lone surrogate is left.
    """
    if text.isascii():
        return text.lower()
    # Lower case makes i and a dot of `İ`; of `Σ` it makes σ or ς, by what stands beside it.
    return text.lower().translate(_EQUAL).encode("utf-8", "replace").decode()


def needed(source: Source, text: str, *, start: bool = False, end: bool = False) -> Needs:
    """Return the need of one text."""
    folded = fold(text)
    return (frozenset({Literal(source, folded, start, end)}),) if folded else ()


def every(parts: Iterable[Needs]) -> Needs:
    """Return the needs of what holds when all parts do."""
    clauses = dict.fromkeys(clause for needs in parts for clause in needs)
    return tuple(sorted(clauses, key=_worth, reverse=True)[:_CLAUSES])


def either(parts: Iterable[Needs]) -> Needs:
    """Return the needs of what holds when one part does."""
    together: set[Literal] = set()
    for needs in parts:
        if not needs:
            return ()
        best: Clause = max(needs, key=_worth)
        together |= best
    return (frozenset(together),) if 0 < len(together) <= _LITERALS else ()


def any_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that holds where one of `parts` does."""
    if len(parts) == 1:
        return parts[0]
    tests = [part.holds for part in parts]
    ways = tuple(way for part in parts for way in part.ways or (part,))
    return Condition(
        lambda record: any(test(record) for test in tests),
        either(part.needs for part in parts),
        ways if len(ways) <= _WAYS else (),
    )


def all_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that holds where all of `parts` do: its ways are those of the part with most."""
    if len(parts) == 1:
        return parts[0]
    widest = max(range(len(parts)), key=lambda at: len(parts[at].ways))
    others = [part for at, part in enumerate(parts) if at != widest]
    ways = tuple(_together([way, *others]) for way in parts[widest].ways)
    return _together(parts)._replace(ways=ways)


def _together(parts: Sequence[Condition]) -> Condition:
    tests = [part.holds for part in parts]
    return Condition(lambda record: all(test(record) for test in tests), every(part.needs for part in parts))


def _worth(clause: Clause) -> tuple[int, int]:
    # Long literals are rare, and so is one of few.
    worst = min(0 if one.source.name in _COMMON else len(one.text) + one.start + one.end for one in clause)
    return worst, -len(clause)

# SPDX-License-Identifier: Apache-2.0
"""One Sigma value against one field: every value type of pySigma becomes a predicate on a record."""

import operator
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, Final

from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from habitus_scorer.sigma.faults import Unsupported
from habitus_scorer.sigma.fields import FIELDS, KEYWORDS, Record

Predicate = Callable[[Record], bool]
TextTest = Callable[[str], bool]

_REGEX_SEES: Final = 8192
_MANY: Final = SpecialChars.WILDCARD_MULTI
# What needs no regular expression: s stands for a literal, * for any text.
_SHAPES: Final[dict[str, Callable[[str], TextTest]]] = {
    "": lambda _: lambda text: not text,
    "s": lambda literal: literal.__eq__,
    "*": lambda _: lambda _text: True,
    "*s*": lambda literal: lambda text: literal in text,
    "s*": lambda literal: lambda text: text.startswith(literal),
    "*s": lambda literal: lambda text: text.endswith(literal),
}
_COMPARE: Final = {
    CompareOperators.LT: operator.lt,
    CompareOperators.LTE: operator.le,
    CompareOperators.GT: operator.gt,
    CompareOperators.GTE: operator.ge,
    CompareOperators.NEQ: operator.ne,
}


def matches(field: str, value: SigmaType) -> Predicate:
    """Return the predicate `field == value` as Sigma means it.

    Raises:
        Unsupported: our events have no such field, or the value's type is not evaluated.
    """
    if field not in FIELDS:
        raise Unsupported(f"field {field!r} is not among those that events have", field)
    return _typed(field, value)


def matches_any(field: str, values: Sequence[SigmaString]) -> Predicate:
    """Return the predicate `field == one of values` as one test: long lists are what rules are made of.

    Raises:
        Unsupported: as `matches`.
    """
    if field not in FIELDS:
        raise Unsupported(f"field {field!r} is not among those that events have", field)
    by_shape: dict[str, list[str]] = {}
    others: list[TextTest] = []
    for value in values:
        parts = _parts(value, cased=False)
        shape, literal = _shape(parts)
        if shape in _LISTS:
            by_shape.setdefault(shape, []).append(literal)
        else:
            others.append(_text_test(parts))
    tests = [_LISTS[shape](tuple(literals)) for shape, literals in by_shape.items()] + others
    if len(tests) == 1:
        return _on_text(field, tests[0], cased=False)
    return _on_text(field, lambda text: any(test(text) for test in tests), cased=False)


def keyword(value: SigmaType) -> Predicate:
    """Return the predicate of a value without a field: it occurs in some text of the event."""
    if isinstance(value, SigmaString):
        return _on_text(KEYWORDS, _contained(value), cased=isinstance(value, SigmaCasedString))
    if isinstance(value, SigmaNumber):
        return _on_text(KEYWORDS, _contained(SigmaString(str(value.number))), cased=False)
    return _typed(KEYWORDS, value)


def _typed(field: str, value: SigmaType) -> Predicate:
    for kind, make in _MAKERS:
        if isinstance(value, kind):
            return make(field, value)
    raise Unsupported(f"a value of type {type(value).__name__} is not evaluated", field)


def _on_text(field: str, test: TextTest, *, cased: bool) -> Predicate:
    if cased:
        return lambda record: any(map(test, record.texts(field)))
    return lambda record: any(map(test, record.folded(field)))


def _string(field: str, value: SigmaString) -> Predicate:
    cased = isinstance(value, SigmaCasedString)
    return _on_text(field, _text_test(_parts(value, cased=cased)), cased=cased)


def _parts(value: SigmaString, *, cased: bool) -> list[str | SpecialChars]:
    parts: list[str | SpecialChars] = []
    for part in value.s:
        if isinstance(part, Placeholder):
            raise Unsupported(f"placeholder %{part.name}% has no list of values here")
        parts.append(part if cased or isinstance(part, SpecialChars) else part.lower())
    return parts


def _text_test(parts: Sequence[str | SpecialChars]) -> TextTest:
    shape, literal = _shape(parts)
    plain = _SHAPES.get(shape)
    if plain is not None:
        return plain(literal)
    pattern = _pattern(parts)
    return lambda text: pattern.fullmatch(text) is not None


def _shape(parts: Sequence[str | SpecialChars]) -> tuple[str, str]:
    shape = "".join("s" if isinstance(part, str) else ("*" if part is _MANY else "?") for part in parts)
    return shape, "".join(part for part in parts if isinstance(part, str))


def _contains_one(literals: tuple[str, ...]) -> TextTest:
    return lambda text: any(literal in text for literal in literals)


def _contained(value: SigmaString) -> TextTest:
    parts = _parts(value, cased=isinstance(value, SigmaCasedString))
    return _text_test([_MANY, *(part for part in parts if part != ""), _MANY])


def _pattern(parts: Sequence[str | SpecialChars]) -> re.Pattern[str]:
    joined = "".join(
        re.escape(part) if isinstance(part, str) else (".*" if part is _MANY else ".") for part in parts
    )
    return re.compile(joined, re.DOTALL)


def _regex(field: str, value: SigmaRegularExpression) -> Predicate:
    flags = re.RegexFlag(0)
    for flag in value.flags:
        flags |= SigmaRegularExpression.sigma_to_python_flags[flag]
    if value.contains_placeholder():
        raise Unsupported("a placeholder has no list of values here", field)
    pattern = re.compile(value.regexp.to_plain_regex(), flags)
    return lambda record: any(pattern.search(bounded(text)) for text in record.texts(field))


def bounded(text: str) -> str:
    """Return what a regular expression sees of `text`: it is an attacker's and may cost its square.

    Of what is longer than 8192 characters both ends are looked at.
    """
    return text if len(text) <= _REGEX_SEES else text[: _REGEX_SEES // 2] + "\n" + text[-_REGEX_SEES // 2 :]


def _number(field: str, value: SigmaNumber) -> Predicate:
    number, text = value.number, str(value.number)
    return lambda record: any(found in (number, text) for found in record.values(field))


def _compare(field: str, value: SigmaCompareExpression) -> Predicate:
    holds, number = _COMPARE[value.op], value.number.number

    def test(record: Record) -> bool:
        for found in record.values(field):
            try:
                if holds(float(found), number):
                    return True
            except ValueError:
                continue
        return False

    return test


def _cidr(field: str, value: SigmaCIDRExpression) -> Predicate:
    network = value.network

    def test(record: Record) -> bool:
        for text in record.texts(field):
            try:
                if ip_address(text) in network:
                    return True
            except ValueError:
                continue
        return False

    return test


def _null(field: str, _: SigmaNull) -> Predicate:
    return lambda record: not record.values(field)


def _exists(field: str, value: SigmaExists) -> Predicate:
    wanted = bool(value)
    return lambda record: bool(record.values(field)) is wanted


def _boolean(field: str, value: SigmaBool) -> Predicate:
    text = str(value.boolean).lower()
    return lambda record: text in record.folded(field)


def _reference(field: str, value: SigmaFieldReference) -> Predicate:
    other = value.field
    if other not in FIELDS:
        raise Unsupported(f"field {other!r} is not among those that events have", field)
    test: Callable[[str, str], bool] = operator.eq
    if value.starts_with or value.ends_with:
        test = str.startswith if value.starts_with else str.endswith
    return lambda record: any(
        test(left, right) for left in record.folded(field) for right in record.folded(other)
    )


def _expansion(field: str, value: SigmaExpansion) -> Predicate:
    tests = [_typed(field, each) for each in value.values]
    return lambda record: any(test(record) for test in tests)


def _refused_time(field: str, _: SigmaTimestampPart) -> Predicate:
    raise Unsupported("parts of a timestamp are not evaluated", field)


# The same for a list of literals of one shape.
_LISTS: Final[dict[str, Callable[[tuple[str, ...]], TextTest]]] = {
    "s": lambda literals: frozenset(literals).__contains__,
    "*s*": _contains_one,
    "s*": lambda literals: lambda text: text.startswith(literals),
    "*s": lambda literals: lambda text: text.endswith(literals),
}

# The first kind that fits makes the predicate: a subclass stands before its base.
_MAKERS: Final[list[tuple[type[SigmaType], Callable[[str, Any], Predicate]]]] = [
    (SigmaString, _string),
    (SigmaTimestampPart, _refused_time),
    (SigmaNumber, _number),
    (SigmaRegularExpression, _regex),
    (SigmaCompareExpression, _compare),
    (SigmaCIDRExpression, _cidr),
    (SigmaNull, _null),
    (SigmaExists, _exists),
    (SigmaBool, _boolean),
    (SigmaFieldReference, _reference),
    (SigmaExpansion, _expansion),
]

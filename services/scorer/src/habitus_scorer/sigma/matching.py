# SPDX-License-Identifier: Apache-2.0
"""One Sigma value against one field: every value type of pySigma becomes a condition on a record."""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
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

from habitus_scorer.needs import Condition, Needs, Source, either, every, needed
from habitus_scorer.regex_needs import needs_of
from habitus_scorer.sigma.faults import Unsupported
from habitus_scorer.sigma.fields import FIELDS, KEYWORDS, Record

TextTest = Callable[[str], bool]

_REGEX_SEES: Final = 8192
_EXACT: Final = 2**53
"""Below it whole numbers and fractions are the same number written in one way each."""

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


def matches(field: str, value: SigmaType) -> Condition:
    """Return the condition `field == value` as Sigma means it.

    Raises:
        Unsupported: our events have no such field, or the value's type is not evaluated.
    """
    if field not in FIELDS:
        raise Unsupported(f"field {field!r} is not among those that events have", field)
    return _typed(field, value)


def matches_any(field: str, values: Sequence[SigmaString]) -> Condition:
    """Return the condition `field == one of values` as one test: long lists are what rules are made of.

    Raises:
        Unsupported: as `matches`.
    """
    if field not in FIELDS:
        raise Unsupported(f"field {field!r} is not among those that events have", field)
    by_shape: dict[str, list[str]] = {}
    others: list[TextTest] = []
    needs: list[Needs] = []
    for value in values:
        parts = _parts(value, cased=False)
        needs.append(_needs(field, parts))
        shape, literal = _shape(parts)
        if shape in _LISTS:
            by_shape.setdefault(shape, []).append(literal)
        else:
            others.append(_text_test(parts))
    tests = [_LISTS[shape](tuple(literals)) for shape, literals in by_shape.items()] + others
    test = tests[0] if len(tests) == 1 else lambda text: any(test(text) for test in tests)
    return _on_text(field, test, either(needs), cased=False)


def keyword(value: SigmaType) -> Condition:
    """Return the condition of a value without a field: it occurs in some text of the event."""
    if isinstance(value, SigmaString):
        return _contained(value)
    if isinstance(value, SigmaNumber):
        return _contained(SigmaString(str(value.number)))
    return _typed(KEYWORDS, value)


def _typed(field: str, value: SigmaType) -> Condition:
    for kind, make in _MAKERS:
        if isinstance(value, kind):
            return make(field, value)
    raise Unsupported(f"a value of type {type(value).__name__} is not evaluated", field)


def _on_text(field: str, test: TextTest, needs: Needs, *, cased: bool) -> Condition:
    if cased:
        return Condition(lambda record: any(map(test, record.texts(field))), needs)
    return Condition(lambda record: any(map(test, record.folded(field))), needs)


def _string(field: str, value: SigmaString) -> Condition:
    cased = isinstance(value, SigmaCasedString)
    return _of_parts(field, _parts(value, cased=cased), cased=cased)


def _of_parts(field: str, parts: Sequence[str | SpecialChars], *, cased: bool) -> Condition:
    return _on_text(field, _text_test(parts), _needs(field, parts), cased=cased)


def _needs(field: str, parts: Sequence[str | SpecialChars]) -> Needs:
    last = len(parts) - 1
    return every(
        needed(Source(field), part, start=at == 0, end=at == last)
        for at, part in enumerate(parts)
        if isinstance(part, str)
    )


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


def _contained(value: SigmaString) -> Condition:
    cased = isinstance(value, SigmaCasedString)
    parts = [part for part in _parts(value, cased=cased) if part != ""]
    return _of_parts(KEYWORDS, [_MANY, *parts, _MANY], cased=cased)


def _pattern(parts: Sequence[str | SpecialChars]) -> re.Pattern[str]:
    joined = "".join(
        re.escape(part) if isinstance(part, str) else (".*" if part is _MANY else ".") for part in parts
    )
    return re.compile(joined, re.DOTALL)


def _regex(field: str, value: SigmaRegularExpression) -> Condition:
    flags = re.RegexFlag(0)
    for flag in value.flags:
        flags |= SigmaRegularExpression.sigma_to_python_flags[flag]
    if value.contains_placeholder():
        raise Unsupported("a placeholder has no list of values here", field)
    pattern = re.compile(value.regexp.to_plain_regex(), flags)
    return Condition(
        lambda record: any(pattern.search(bounded(text)) for text in record.texts(field)),
        needs_of(Source(field), pattern),
    )


def bounded(text: str) -> str:
    """Return what a regular expression sees of `text`: it is an attacker's and may cost its square.

    Of what is longer than 8192 characters both ends are looked at.
    """
    return text if len(text) <= _REGEX_SEES else text[: _REGEX_SEES // 2] + "\n" + text[-_REGEX_SEES // 2 :]


def _number(field: str, value: SigmaNumber) -> Condition:
    number, text = value.number, str(value.number)
    return Condition(
        lambda record: any(found in (number, text) for found in record.values(field)),
        either(needed(Source(field), one, start=True, end=True) for one in _spellings(number)),
    )


def _spellings(number: float) -> Iterator[str]:
    """Yield how a field's value that equals `number` may be written; nothing for what may be otherwise."""
    if 0 < abs(number) < _EXACT:
        yield str(float(number))
        yield str(number) if number != int(number) else str(int(number))


def _compare(field: str, value: SigmaCompareExpression) -> Condition:
    holds, number = _COMPARE[value.op], value.number.number

    def test(record: Record) -> bool:
        for found in record.values(field):
            try:
                if holds(float(found), number):
                    return True
            except ValueError:
                continue
        return False

    return Condition(test)


def _cidr(field: str, value: SigmaCIDRExpression) -> Condition:
    network = value.network

    def test(record: Record) -> bool:
        for text in record.texts(field):
            try:
                if ip_address(text) in network:
                    return True
            except ValueError:
                continue
        return False

    return Condition(test)


def _null(field: str, _: SigmaNull) -> Condition:
    return Condition(lambda record: not record.values(field))


def _exists(field: str, value: SigmaExists) -> Condition:
    wanted = bool(value)
    return Condition(lambda record: bool(record.values(field)) is wanted)


def _boolean(field: str, value: SigmaBool) -> Condition:
    text = str(value.boolean).lower()
    needs = needed(Source(field), text, start=True, end=True)
    return Condition(lambda record: text in record.folded(field), needs)


def _reference(field: str, value: SigmaFieldReference) -> Condition:
    other = value.field
    if other not in FIELDS:
        raise Unsupported(f"field {other!r} is not among those that events have", field)
    test: Callable[[str, str], bool] = operator.eq
    if value.starts_with or value.ends_with:
        test = str.startswith if value.starts_with else str.endswith
    return Condition(
        lambda record: any(
            test(left, right) for left in record.folded(field) for right in record.folded(other)
        )
    )


def _expansion(field: str, value: SigmaExpansion) -> Condition:
    parts = [_typed(field, each) for each in value.values]
    return Condition(
        lambda record: any(part.holds(record) for part in parts), either(part.needs for part in parts)
    )


def _refused_time(field: str, _: SigmaTimestampPart) -> Condition:
    raise Unsupported("parts of a timestamp are not evaluated", field)


# The same for a list of literals of one shape.
_LISTS: Final[dict[str, Callable[[tuple[str, ...]], TextTest]]] = {
    "s": lambda literals: frozenset(literals).__contains__,
    "*s*": _contains_one,
    "s*": lambda literals: lambda text: text.startswith(literals),
    "*s": lambda literals: lambda text: text.endswith(literals),
}

# The first kind that fits makes the condition: a subclass stands before its base.
_MAKERS: Final[list[tuple[type[SigmaType], Callable[[str, Any], Condition]]]] = [
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

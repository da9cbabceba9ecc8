# SPDX-License-Identifier: Apache-2.0
"""Falco's condition language: text becomes a tree.

    or:    and ('or' and)*
    and:   not ('and' not)*
    not:   'not'* ( '(' or ')' | check | macro )
    check: field operator [ value | '(' value, … ')' ]

Written after Falco's documentation of conditions (https://falco.org/docs/concepts/rules/conditions/).
"""

import re
from dataclasses import dataclass
from typing import Final

_DEEPEST: Final = 60
_LONGEST: Final = 200_000

WORDS: Final = frozenset(
    {"contains", "icontains", "bcontains", "startswith", "bstartswith", "endswith", "glob", "iglob", "regex"}
)
"""Operators that compare text with one value."""
LISTS: Final = frozenset({"in", "intersects", "pmatch"})
"""Operators that compare with a list."""
_SIGNS: Final = frozenset({"=", "==", "!=", "<", "<=", ">", ">="})
_ALONE: Final = "exists"

_SPACE: Final = re.compile(r"\s*")
_FIELD: Final = re.compile(r"(?:(\w+)\(\s*)?([A-Za-z_][\w.-]*(?:\[[^\]]*\])?)(?(1)\s*\))")
_SIGN: Final = re.compile(r"<=|>=|!=|==|=|<|>|[a-z]+(?!\w)")
_BARE: Final = re.compile(r"""[^\s()"',=<>!][^\s(),=]*""")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|' + r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_WORD: Final = re.compile(r"(?:not|and|or)\b")
_TRANSFORMERS: Final = frozenset({"tolower", "toupper", "basename", "len", "val"})


class ConditionFault(ValueError):
    """A condition that cannot be read; the text says near what."""


@dataclass(frozen=True)
class Check:
    """One comparison. `transform` is applied to the field's value; `values` are texts as written.

    A value that is `val(field)` is kept as that text.
    """

    field: str
    operator: str
    values: tuple[str, ...]
    transform: str = ""


@dataclass(frozen=True)
class Named:
    """A macro by its name."""

    name: str


@dataclass(frozen=True)
class Not:
    """The contrary of `inner`."""

    inner: "Node"


@dataclass(frozen=True)
class Many:
    """All (`and`) or any (`or`) of `parts`."""

    word: str
    parts: "tuple[Node, ...]"


Node = Check | Named | Not | Many


def parsed(text: str) -> Node:
    """Return the tree of a condition.

    Raises:
        ConditionFault: it is none, or deeper than 60 parentheses, or too long.
    """
    if len(text) > _LONGEST:
        raise ConditionFault(f"a condition of more than {_LONGEST} characters")
    reader = _Reader(text)
    node = reader.either(0)
    if reader.at < len(text):
        raise reader.fault("expected `and`, `or` or the end")
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._skip()

    def fault(self, what: str) -> ConditionFault:
        near = self.text[self.at : self.at + 30].split("\n", 1)[0] or "the end"
        return ConditionFault(f"{what} near {near!r}")

    def either(self, depth: int) -> Node:
        return self._joined("or", depth)

    def _joined(self, word: str, depth: int) -> Node:
        inner = self._negated if word == "and" else lambda deep: self._joined("and", deep)
        parts = [inner(depth)]
        while self._took(word):
            parts.append(inner(depth))
        return parts[0] if len(parts) == 1 else Many(word, tuple(parts))

    def _negated(self, depth: int) -> Node:
        negative = False
        while self._took("not"):
            negative = not negative
        node = self._inside(depth) if self._sign("(") else self._check()
        return Not(node) if negative else node

    def _inside(self, depth: int) -> Node:
        if depth >= _DEEPEST:
            raise self.fault(f"more than {_DEEPEST} parentheses deep")
        node = self.either(depth + 1)
        if not self._sign(")"):
            raise self.fault("expected `)`")
        return node

    def _check(self) -> Node:
        start, found = self.at, self._match(_FIELD)
        transform, name = (found.group(1) or "", found.group(2)) if found else ("", "")
        if not found or _WORD.fullmatch(name) or (transform and transform not in _TRANSFORMERS):
            self.at = start
            raise self.fault("expected a field, a macro or `(`")
        operator = self._operator()
        if not operator:
            if transform:
                raise self.fault("expected an operator")
            return Named(name)
        return Check(name, operator, self._values(operator), transform)

    def _operator(self) -> str:
        start, found = self.at, self._match(_SIGN)
        word = found.group() if found else ""
        if word in _SIGNS or word in WORDS or word in LISTS or word == _ALONE:
            return word
        self.at = start
        return ""

    def _values(self, operator: str) -> tuple[str, ...]:
        if operator == _ALONE:
            return ()
        if operator not in LISTS:
            return (self._value(),)
        if not self._sign("("):
            return (self._value(),)
        values: list[str] = []
        while not self._sign(")"):
            values.append(self._value())
            if not self._sign(",") and self.text[self.at : self.at + 1] != ")":
                raise self.fault("expected `,` or `)`")
        return tuple(values)

    def _value(self) -> str:
        found = self._match(_QUOTED)
        if found:
            inner = found.group(1) if found.group(1) is not None else found.group(2)
            return re.sub(r"\\(.)", _unescaped, inner, flags=re.DOTALL)
        start, reference = self.at, self._match(_FIELD)
        if reference and reference.group(1) == "val":
            return f"val({reference.group(2)})"
        self.at = start
        bare = self._match(_BARE)
        if not bare:
            raise self.fault("expected a value")
        return bare.group()

    def _took(self, word: str) -> bool:
        found = _WORD.match(self.text, self.at)
        if not found or found.group() != word:
            return False
        self.at = found.end()
        self._skip()
        return True

    def _sign(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.at):
            return False
        self.at += 1
        self._skip()
        return True

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
            self._skip()
        return found

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at


def _unescaped(found: re.Match[str]) -> str:
    # Only the quotes and the backslash itself: `\.` in a regular expression stays as it is.
    return found.group(1) if found.group(1) in "\"'" else found.group()

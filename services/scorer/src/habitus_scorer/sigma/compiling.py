# SPDX-License-Identifier: Apache-2.0
"""A parsed Sigma rule becomes one predicate: `and`, `or`, `not`, `1 of`, `all of` over its values."""

from collections.abc import Callable
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaRule
from sigma.types import SigmaString

from habitus_scorer.needs import Condition, all_of, any_of
from habitus_scorer.sigma.faults import Unsupported
from habitus_scorer.sigma.matching import keyword, matches, matches_any


def compiled(rule: SigmaRule, prepare: Callable[[Any], None] | None = None) -> Condition:
    """Return the condition of the whole rule; of several conditions one must hold.

    `prepare` may change the tree of each condition before, e.g. rename its fields.

    Raises:
        Unsupported: a field or a value type that is not evaluated.
        SigmaError: pySigma cannot read the condition.
    """
    trees = [condition.parsed for condition in rule.detection.parsed_condition]
    for tree in trees if prepare else ():
        prepare(tree)  # type: ignore[misc]  # it is there
    return any_of([_node(tree) for tree in trees])


def _node(node: Any) -> Condition:
    match node:
        case ConditionAND(args=args):
            return all_of([_node(arg) for arg in args])
        case ConditionOR(args=args):
            return any_of(_alternatives(args))
        case ConditionNOT(args=[arg]):
            inner = _node(arg).holds
            return Condition(lambda record: not inner(record))
        case ConditionFieldEqualsValueExpression(field=field, value=value):
            return matches(field, value)
        case ConditionValueExpression(value=value):
            return keyword(value)
    raise Unsupported("the condition is empty", "condition")


def _alternatives(args: list[Any]) -> list[Condition]:
    plain: dict[str, list[SigmaString]] = {}
    tests: list[Condition] = []
    for arg in args:
        # Exactly SigmaString: its subclass compares with regard to case.
        if isinstance(arg, ConditionFieldEqualsValueExpression) and type(arg.value) is SigmaString:
            plain.setdefault(arg.field, []).append(arg.value)
        else:
            tests.append(_node(arg))
    return [matches_any(field, values) for field, values in plain.items()] + tests

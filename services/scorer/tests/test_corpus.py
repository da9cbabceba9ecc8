# SPDX-License-Identifier: Apache-2.0
"""The shipped rules over a corpus that they were not written from: few misses, fewer false alarms."""

from collections import Counter

from corpus_reading import decide, lines

from habitus_scorer.engines.rule import SHIPPED
from habitus_scorer.ruleset import RuleSet


def test_corpus_is_large_sourced_and_without_doubles():
    """At least 300 lines of each kind, each under a named source, none twice."""
    found = list(lines())
    assert min(Counter(line.attack for line in found).values()) >= 300
    assert all(line.source for line in found)
    assert [text for text, count in Counter(line.text for line in found).items() if count > 1] == []


def test_shipped_rules_decide_the_corpus():
    """Precision and recall stay above what was first measured; each miss and false alarm is printed."""
    missed, alarms, attacks, benign = decide(RuleSet([SHIPPED]))
    for line in missed:
        print("missed", line.place, line.text)  # noqa: T201
    for line, rules in alarms:
        print("false alarm", line.place, line.text, rules)  # noqa: T201
    assert len(missed) <= 0.25 * attacks
    assert len(alarms) <= 0.03 * benign

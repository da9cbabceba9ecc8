# SPDX-License-Identifier: Apache-2.0
"""The shipped rules over both parts of the corpus: few misses, fewer false alarms."""

from collections import Counter

import pytest
from corpus_reading import DEVELOPMENT, REPORTED, count, decide, lines

from habitus_scorer.engines.rule import SHIPPED
from habitus_scorer.ruleset import RuleSet

RULES = RuleSet([SHIPPED])


@pytest.mark.parametrize("part", [DEVELOPMENT, REPORTED])
def test_corpus_is_large_sourced_and_without_doubles(part: str):
    """At least 300 lines of each kind in each part, each under a named source, none twice; counts alone."""
    found = list(lines(part))
    assert min(Counter(line.attack for line in found).values()) >= 300
    assert sum(not line.source for line in found) == 0
    doubles = sum(times > 1 for times in Counter(line.text for line in found).values())
    assert doubles == 0


def test_shipped_rules_decide_the_development_lines():
    """Each miss and false alarm is printed: these are the lines to mend rules by."""
    missed, alarms, counts = decide(RULES, DEVELOPMENT)
    for line in missed:
        print("missed", line.place, line.text)  # noqa: T201
    for line, rules in alarms:
        print("false alarm", line.place, line.text, rules)  # noqa: T201
    assert counts.found >= 2794, counts
    assert counts.alarms <= 28, counts


def test_shipped_rules_decide_the_reported_lines():
    """What was read when the rules were last changed still holds; only counts are told, never a line."""
    counts = count(RULES, REPORTED)
    assert counts.found >= 696, counts
    assert counts.alarms <= 46, counts

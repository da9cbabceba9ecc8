# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from habitus.engines import Score, bounded, total


@pytest.mark.parametrize(("given", "kept"), [(-3.0, 0.0), (12.0, 12.0), (99.0, 40.0)])
def test_points_stay_inside_what_the_engine_may_give(given, kept):
    assert bounded(Score(points=given), 40).points == kept


@pytest.mark.parametrize("points", [math.nan, math.inf, -math.inf])
def test_points_that_are_no_number_become_an_abstention_that_says_so(points):
    score = bounded(Score(points=points), 40)
    assert score.abstained
    assert str(points) in score.note


def test_the_total_is_scaled_to_those_who_voted():
    scores = {
        "rule": bounded(Score(points=30), 40),
        "profile": bounded(Score(points=5), 5),
        "llm": bounded(Score(abstained=True, points=35), 35),
    }
    assert total(scores) == round(100 * 35 / 45, 1)


def test_when_all_abstain_the_total_is_zero():
    assert total({"llm": bounded(Score(abstained=True), 35)}) == 0

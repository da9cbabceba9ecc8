# SPDX-License-Identifier: Apache-2.0
"""What may still come."""

import pytest

from habitus_profiler.estimates import a_day, at_most, unseen, unseen_bound


def test_good_turing_is_the_share_of_what_was_seen_once():
    """Good 1953: N1 / N."""
    assert unseen(100, 5) == 0.05
    assert unseen(0, 0) == 1


def test_its_bound_shrinks_with_the_root_of_what_was_seen():
    """McAllester and Schapire 2000; worked out by hand for a million events at 95 %."""
    assert unseen_bound(0, 0) == 1
    assert unseen_bound(100, 0) == pytest.approx(0.923, abs=0.001)
    assert unseen_bound(1_000_000, 10_000) == pytest.approx(0.01 + 0.00923, abs=1e-4)


@pytest.mark.parametrize(
    ("count", "confidence", "mean"), [(0, 0.95, 2.996), (0, 0.99, 4.605), (3, 0.95, 7.754)]
)
def test_a_count_is_bounded_as_tables_have_it(count, confidence, mean):
    """Garwood 1936: nothing seen still leaves room for three."""
    assert at_most(count, confidence) == pytest.approx(mean, rel=0.011)


def test_a_rate_is_given_for_a_day():
    assert a_day(2, 43_200) == 4

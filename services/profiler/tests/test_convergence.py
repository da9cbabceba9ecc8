# SPDX-License-Identifier: Apache-2.0
"""When habits count as learned."""

import pytest

from habitus_profiler.convergence import Learning, Rule, unseen

SECOND = 10**9
START = 1_764_000_000 * SECOND


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def learning(clock):
    return Learning(Rule(window_s=60, epsilon=0, min_events=10), monotonic=clock)


def feed(learning, seconds, new=0):
    for second in seconds:
        learning.saw(START + int(second * SECOND), 1, new)


def test_a_whole_window_without_news_after_enough_events_is_learned(learning):
    """News at the start, then quiet for more than a window."""
    feed(learning, range(5), new=1)
    feed(learning, range(5, 60))
    assert not learning.converged()
    feed(learning, range(60, 70))
    assert learning.converged()


def test_news_inside_the_window_is_not(learning):
    """One new thing restarts the wait; as many as epsilon do not."""
    feed(learning, range(100))
    feed(learning, [100], new=1)
    assert not learning.converged()
    feed(learning, range(101, 170))
    assert learning.converged()


def test_too_few_events_are_not(learning):
    """Age alone is no evidence."""
    feed(learning, [0, 20, 40, 60, 80, 100])
    assert not learning.converged()


def test_a_quiet_container_converges_by_the_machines_clock(learning, clock):
    """No further event is needed."""
    feed(learning, [number / 10 for number in range(10)], new=0)
    assert not learning.converged()
    clock.now = 61
    assert learning.converged()


def test_a_clock_that_jumps_ahead_makes_no_profile_old(learning):
    """One step counts half a window at most, and the way back counts nothing."""
    feed(learning, [number / 10 for number in range(20)])
    feed(learning, [10_000_000])
    assert not learning.converged()
    feed(learning, [3, 4, 5])
    assert learning.now() < 60
    assert not learning.converged()


def test_events_out_of_order_do_not_age_a_profile(learning):
    """Batches of two classes that overtake each other add up to their span only."""
    feed(learning, [second for number in range(50) for second in (number / 10, number / 10 - 2)])
    assert learning.now() < 10


def test_the_report_shows_the_figures_and_a_thinned_curve(learning):
    """The curve keeps its last point."""
    feed(learning, range(1000), new=1)
    report = learning.report(0.25)
    assert report.events == 1000
    assert report.window_new <= 62
    assert len(report.curve) <= 97
    assert report.curve[-1][1] == 1000
    assert report.unseen == 0.25


def test_good_turing_is_the_share_of_what_was_seen_once():
    """Good 1953: N1 / N."""
    assert unseen(100, 5) == 0.05
    assert unseen(0, 0) == 1

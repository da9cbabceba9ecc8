# SPDX-License-Identifier: Apache-2.0
"""When habits count as learned."""

import pytest

from habitus_profiler.convergence import Learning, Rule

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


def test_nodes_whose_clocks_disagree_age_a_profile_by_neither(learning):
    """Two replicas, one clock two hours ahead: the profile's time is what each clock saw pass."""
    for second in range(20):
        learning.saw(START + second * SECOND, 1, 0, "n1")
        learning.saw(START + (second + 7200) * SECOND, 1, 0, "n2")
    assert learning.now() == 19
    assert not learning.converged()


def test_a_pause_that_our_own_clock_saw_counts_in_full(learning, clock):
    """Work once an hour is not hastened nor slowed by the bound against jumps."""
    feed(learning, [0])
    clock.now = 200
    feed(learning, [200])
    assert learning.now() == 200


def test_another_window_begins_anew_with_what_the_old_one_held(clock):
    """News of before are not older because the setting changed."""
    before = Learning(Rule(window_s=3600, epsilon=0, min_events=10), monotonic=clock)
    feed(before, range(100), new=1)
    after = Learning(Rule(window_s=60, epsilon=0, min_events=10), before.progress, monotonic=clock)
    assert after.inside() == (100, 100)
    assert after.blockers() == ["news"]


def test_the_report_shows_the_figures_and_a_thinned_curve(learning):
    """The curve spans all of learning, and its last point is now."""
    feed(learning, range(1000), new=1)
    report = learning.report(1000, 250)
    assert report.events == 1000
    assert report.window_new <= 62
    assert len(report.curve) <= 121
    assert report.curve[-1] == (999, 1000)
    assert report.unseen == 0.25
    assert report.seconds == 999


def test_the_forecast_counts_what_was_new_in_the_latest_half(clock):
    """Four days with a new thing each night at two: one a day is to come, and more than that at 95 %."""
    learning = Learning(Rule(window_s=3600, epsilon=0, min_events=10, max_alerts=0.5), monotonic=clock)
    feed(learning, [0], new=1)
    assert learning.report(1, 1).forecast is None
    for hour in range(1, 97):
        feed(learning, [hour * 3600 - 1800], new=int(hour % 24 == 14))
        feed(learning, [hour * 3600])
    forecast = learning.forecast()
    assert forecast.alarms == 2
    assert forecast.alerts_a_day == pytest.approx(1, rel=0.05)
    assert forecast.at_most == pytest.approx(3.15, rel=0.05)
    assert learning.blockers() == ["forecast"]


def work(hours, nightly=()):
    """Yield (seconds, new): work every two minutes, new in the first ten; `nightly` adds news at 14 h."""
    for minute in range(0, hours * 60, 2):
        yield minute * 60, int(minute < 10)
        for day in nightly:
            if minute == (day * 24 + 14) * 60:
                yield minute * 60 + 1, 1


def judged_at(rule, clock, events, lost_at=()):
    """Return after how many hours the evidence sufficed, None when it never did."""
    learning = Learning(rule, monotonic=clock)
    for second, new in events:
        feed(learning, [second], new)
        if second in lost_at:
            learning.lost(5)
        if learning.converged():
            return second / 3600
    return None


def test_learning_ends_by_evidence_and_not_by_the_clock(clock):
    """Steady work is learned; a job that brings news each night is not, nor what is seen with losses."""
    nights = range(7)
    # Default: a quiet hour. A profile that met the night while it learned knows that it is not done.
    rule = Rule(window_s=3600, epsilon=0, min_events=20, max_alerts=10)
    assert judged_at(rule, clock, work(24)) == pytest.approx(1.2, abs=0.1)
    assert judged_at(rule, clock, work(24), lost_at=range(0, 86400, 1800)) is None
    # Few alerts to be sure of: no quiet hour of the first day is enough, and the nights keep it learning.
    careful = Rule(window_s=3600, epsilon=0, min_events=20, max_alerts=2, confidence=0.95)
    assert judged_at(careful, clock, work(24 * 7, nights)) is None
    assert judged_at(careful, clock, work(24 * 7)) == pytest.approx(70, abs=2)
    assert judged_at(careful, clock, work(24 * 9, nightly=[0])) == pytest.approx(70, abs=2)


def test_a_busy_night_is_remembered_after_quiet_hours(clock):
    """Twenty new things in the night: the forecast keeps learning on, where the window alone would end it."""
    learning = Learning(Rule(window_s=3600, epsilon=0, min_events=20, max_alerts=10), monotonic=clock)
    for second, new in work(20):
        feed(learning, [second] * (20 if 14 * 3600 <= second < 14 * 3600 + 60 else 1), new)
        if 14 * 3600 <= second < 14 * 3600 + 60:
            for _ in range(20):
                feed(learning, [second + 1], new=1)
    assert learning.inside()[1] == 0
    assert learning.blockers() == ["forecast"]
    assert learning.forecast().alerts_a_day > 40

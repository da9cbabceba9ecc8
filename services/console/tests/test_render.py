# SPDX-License-Identifier: Apache-2.0
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitus.profiles import (
    Change,
    Convergence,
    Forecast,
    Mark,
    ProfileDetail,
    ProfileNotes,
    ProfileSummary,
    ProfileTree,
)
from habitus_alerts import HOSTILE, alert_with, shown
from habitus_console import profile_view, render


def test_an_alert_shows_what_a_person_needs_in_both_languages():
    text = shown(render.alert(alert_with("mining"), "zh"))
    for wanted in ("高危：mining", "High: mining", "shop/mining", "bash → mining", "30 / 40", "弃权", "隔离"):
        assert wanted in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_not_obeyed(text):
    plain = shown(render.alert(alert_with(text), "en"))
    assert not any(one != "\n" and unicodedata.category(one) in {"Cc", "Cf"} for one in plain)
    if text.startswith("["):
        assert text in plain


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_no_text_breaks_the_rendering(text):
    shown(render.alert(alert_with(text), "en"))
    tree = ProfileTree(process={text: {text: [text]}})
    summary = ProfileSummary(image_key=text, partition=0, state="detect", revision=1)
    shown(profile_view.profile(ProfileDetail(summary=summary, tries=tree)))


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(0.4, "0.4 ms"), (999, "999.0 ms"), (1500, "1.5 s"), (90_000, "90.0 s"), (42_772_600, "11.9 h")],
)
def test_a_duration_is_told_in_the_unit_that_a_person_would_take(milliseconds, said):
    assert render.took(milliseconds) == said


def test_the_parent_of_a_first_process_has_a_name():
    one = alert_with("mining")
    one.departures[0].usual[:] = ["", "bash"]
    assert "(first process); bash" in shown(render.alert(one, "en"))
    assert "(首个进程); bash" in shown(render.alert(one, "zh"))


def test_what_slow_tuning_took_in_is_told_apart_from_what_a_person_marked():
    """With where it was seen, and how to take it back: the mark's name."""
    fields = {"when": 1_764_000_000 * 10**9, "habits": ["h"]}
    tuned = Mark(id="f1", who="tuning", why="seen on 3 replicas", alert="", **fields)
    marked = Mark(id="f2", who="ann", why="a drill", alert="a7", **fields)
    notes = ProfileNotes(marks=[tuned, marked], watched=4)
    summary = ProfileSummary(image_key="web:1", partition=0, state="detect", revision=1, notes=notes)
    plain = " ".join(shown(profile_view.profile(ProfileDetail(summary=summary, tries=ProfileTree()))).split())
    assert "4 behaviours are scored low" in plain
    assert "f1: taken in by slow tuning" in plain
    assert "f2: called benign by ann" in plain


def test_a_profile_shows_its_curve_its_odds_and_what_is_in_the_way():
    """As `habitus profile show` prints them, in both languages."""
    now = Convergence(
        events=500,
        unseen=0.02,
        unseen_at_most=0.05,
        seconds=600,
        forecast=Forecast(alerts_a_day=30, at_most=41, seconds=300, alarms=2),
        max_alerts=10,
        blockers=["forecast"],
        curve=[(60, 40), (300, 48), (600, 48)],
    )
    for language, wanted in (
        ("en", ("new behaviour over 600 s", "2.00%", "30.0", "the forecast of alerts is above 10 a day")),
        ("zh", ("600 秒内的新行为", "2.00%", "30.0", "预计每天告警超过 10 条")),
    ):
        plain = "\n".join(line.plain for line in profile_view.convergence(now, language))
        assert all(each in plain for each in wanted), plain
        assert profile_view.sparkline(now.curve) in plain
    bars = profile_view.sparkline(now.curve)
    assert bars[0] < bars[-1], "it rises"
    assert bars[-1] == bars[len(bars) // 2], "and then is flat"


def test_what_was_done_to_a_profile_is_told_in_words_and_a_missing_reason_leaves_no_colon():
    changes = [
        Change(what="absorb", who="ann", when=1, why="a drill"),
        Change(what="lock", who="bob", when=2, why=""),
        Change(what="\x1bnew", who="bob", when=3, why=""),
    ]
    convergence = Convergence(blockers=["events"], events=3)
    fields = {
        "partition": 0,
        "revision": 1,
        "convergence": convergence,
        "notes": ProfileNotes(changes=changes),
    }
    judging = ProfileDetail(
        summary=ProfileSummary(image_key="web:1", state="detect", **fields), tries=ProfileTree()
    )
    lines = shown(profile_view.profile(judging)).splitlines()
    assert any(line.startswith("alert called benign by ann") and ": a drill" in line for line in lines)
    assert any(line.startswith("locked by bob") and not line.rstrip().endswith(":") for line in lines)
    assert "it judges, though" in shown(profile_view.profile(judging))
    learning = ProfileDetail(
        summary=ProfileSummary(image_key="web:1", state="learn", **fields), tries=ProfileTree()
    )
    assert "still in the way" in shown(profile_view.profile(learning))
    assert "锁定" in shown(profile_view.profile(learning, "zh"))

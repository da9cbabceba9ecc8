# SPDX-License-Identifier: Apache-2.0
import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from habitus.alerts import Alert, Departure, Severity, Where, Who
from habitus.engines import EngineScore
from habitus.languages import Bilingual
from habitus.policies import isolate_pod
from habitus.profiles import Mark, ProfileDetail, ProfileNotes, ProfileSummary, ProfileTree
from habitus_console import profile_view, render


def alert_with(text: str) -> Alert:
    return Alert(
        id="a-1",
        incident="i-1",
        severity=Severity.HIGH,
        title=Bilingual(en=f"High: {text}", zh=f"高危：{text}"),
        advice=Bilingual(en="Isolate", zh="隔离"),
        explanation=Bilingual(en=text, zh=text),
        score=80,
        engines={
            "rule": EngineScore(points=30, max_points=40),
            "llm": EngineScore(abstained=True, note=text, max_points=35),
        },
        techniques=[text],
        where=Where(node=text, namespace="shop", pod=text, container=text, container_id=text, image=text),
        who=Who(pid=1, uid=0, name=text, exe=text, argv=[text, text], lineage=["bash", text]),
        departures=[
            Departure(
                anomaly_id="x",
                event_id="y",
                reason="unknown-path",
                path=[text],
                detail=text,
                usual=[text],
                score=80,
            )
        ],
        action=isolate_pod("shop", "web-0", {"app": "web"}),
        first_seen=1,
        raised=2,
        latency_ms=1.5,
        events=[],
    )


def shown(renderable: object) -> str:
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=False).print(renderable)
    return out.getvalue()


def test_an_alert_shows_what_a_person_needs_in_both_languages():
    text = shown(render.alert(alert_with("mining"), "zh"))
    for wanted in ("高危：mining", "High: mining", "shop/mining", "bash → mining", "30 / 40", "弃权", "隔离"):
        assert wanted in text


HOSTILE = ["\x1b]0;title\x07", "[bold red]markup[/]", "\u202egnp.exe", "a\nb\rc", "\x9b31m", "[/]"]


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

# SPDX-License-Identifier: Apache-2.0
"""Slow tuning: what many replicas show for long becomes a mark; what one Pod does, or a rule hits, never."""

import json

import pytest

from habitus import subjects
from habitus.alerts import ScoredAnomaly
from habitus.engines import EngineScore, Finding
from habitus.events import Container, Event, File, Network
from habitus.images import partition_of
from habitus.languages import Bilingual
from habitus_profiler import snapshot
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.judgement import Limits, Miss
from habitus_profiler.notes import keys_of
from habitus_profiler.profile import Profile
from habitus_profiler.publish import anomaly_of
from habitus_profiler.tuning import WHO, Tuning, weigh

IMAGE = "webapp:v1"
HOUR = 3600 * 10**9
TUNING = Tuning(replicas=3, after_s=24 * 3600, below=20)
RULE_SILENT = {"rule": EngineScore(max_points=40)}


@pytest.fixture
def profile(make):
    learned = Profile(IMAGE, 5, Limits(64, 256, None), Learning(Rule(3600, 0, 100)))
    learned.learn(make(["java"]))
    learned.detect(1)
    return learned


@pytest.fixture
def news(make):
    return make(["cleanup", "--all"])


def hit(level):
    finding = Finding(id="r", title=Bilingual(en="r", zh="r"), detail="", level=level)
    return {"rule": EngineScore(max_points=40, findings=[finding])}


def scored(event, hour, place, **more):
    fields = {
        "anomaly_id": f"{hour}", "event_id": "e", "image_key": IMAGE, "reason": "unknown-path", "path": [],
        "detail": "", "score": 7.5, "engines": RULE_SILENT, "incident": "i",
        "scored": int(hour * HOUR) + HOUR,
        "habits": keys_of(event), "place": place,
    }  # fmt: skip
    return ScoredAnomaly(**{**fields, **more})


def tuned(profile, verdicts):
    """Weigh all; return the mark that came of it."""
    marks = [weigh(profile, verdict, TUNING) for verdict in verdicts]
    return next((mark for mark in marks if mark), None)


def a_release(news, hours=24, **more):
    """A low score an hour, of three Pods in turn."""
    return [scored(news, hour, f"pod-{hour % 3}", **more) for hour in range(hours + 1)]


def test_what_all_replicas_show_for_a_day_becomes_a_mark_that_can_be_undone(profile, news):
    """It is known from then on; taken back by a person it is news again, for good."""
    revision = profile.revision
    mark = tuned(profile, a_release(news))
    assert (mark.who, mark.alert) == (WHO, "")
    assert mark.why == "seen on 3 replicas over 24.0 h, scores at most 7.5 (below 20), no rule hits it"
    assert profile.judge(news) is None
    assert profile.revision == revision + 1
    assert not profile.notes.watched
    assert profile.notes.undo(mark.id, "ann")
    profile.changed()
    assert tuned(profile, a_release(news, hours=99)) is None
    assert isinstance(profile.judge(news), Miss)


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("one Pod", {"place": "pod-0"}),
        ("no place", {"place": ""}),
        ("three of a hundred", {"replicas": 100}),
        ("scored higher", {"score": 20}),
        ("no rules", {"engines": {}}),
        ("rules abstained", {"engines": {"rule": EngineScore(max_points=40, abstained=True)}}),
        ("a weak rule hits", {"engines": hit("low")}),
        ("a rule hits", {"engines": hit("medium")}),
        ("an open alert", {"alert": "a1"}),
        ("what security turns on", {"habits": []}),
    ],
)
def test_what_speaks_against_it_keeps_it_news(profile, news, why, change):
    """However long it is seen."""
    assert tuned(profile, [one.model_copy(update=change) for one in a_release(news, hours=99)]) is None, why


@pytest.mark.parametrize("state", ["locked", "learn", "relearn"])
def test_a_profile_that_is_locked_or_learns_is_not_tuned(profile, news, state):
    """Nothing is even noted."""
    profile.state = state
    assert tuned(profile, a_release(news, hours=99)) is None
    assert not profile.notes.watched


def test_too_short_a_time_is_no_evidence_and_no_clock_makes_it_long(profile, news):
    """A jump of a year counts half of what is needed."""
    assert tuned(profile, a_release(news, hours=23)) is None
    fresh = Profile(IMAGE, 5, profile.limits, Learning(Rule(3600, 0, 100)))
    fresh.detect(1)
    year = 365 * 24
    jump = [scored(news, hour, f"pod-{hour % 3}") for hour in (0, 1, 2, year, year + 1, year + 2)]
    assert tuned(fresh, jump) is None
    assert fresh.notes.watched["\n".join(keys_of(news))].seconds == pytest.approx(12 * 3600 + 4 * 3600)


def test_one_verdict_that_speaks_against_it_begins_the_evidence_anew(profile, news):
    """A veto stays: also one that comes late, after newer verdicts."""
    verdicts = a_release(news)
    assert tuned(profile, [*verdicts[:-1], scored(news, 25, "pod-2", score=35)]) is None
    assert tuned(profile, a_release(news, hours=49)[26:]) is None
    assert tuned(profile, [scored(news, 50, "pod-2")]) is not None
    other = Event(
        ts=0, container=Container(), class_="file", op="open", file=File(path="/srv/x"), process=news.process
    )
    late = scored(other, 1, "pod-1", engines=hit("high"))
    assert tuned(profile, [*a_release(other)[:-1], late, *a_release(other, hours=99)]) is None


def test_a_verdict_that_comes_again_changes_nothing(profile, news):
    """The evidence of both deliveries is that of one."""
    verdicts = a_release(news)[:5]
    tuned(profile, verdicts)
    data = snapshot.sealed(profile, "")
    tuned(profile, [*verdicts, *verdicts])
    assert snapshot.sealed(profile, "") == data


def test_evidence_survives_a_restart(profile, news):
    """It lies in the snapshot."""
    verdicts = a_release(news)
    tuned(profile, verdicts[:-1])
    again = snapshot.parsed(snapshot.sealed(profile, ""), profile.limits, profile.learning.rule, "")
    assert tuned(again, verdicts[-1:]) is not None


def test_evidence_is_bounded_and_a_veto_is_forgotten_last(profile, make):
    """A flood of names does not push out what a rule hit."""
    hit_once = make(["hostile"])
    weigh(profile, scored(hit_once, 0, "pod-0", engines=hit("high")), TUNING)
    for number in range(500):
        name = "".join(chr(97 + int(digit)) for digit in str(number))
        weigh(profile, scored(make([name]), 1 + number, "pod-0"), TUNING)
    assert len(profile.notes.watched) == 128
    assert profile.notes.watched["\n".join(keys_of(hit_once))].veto == "rule r"


def test_what_security_turns_on_is_never_offered(profile, make):
    """A novel slot, a jump of processor use, a sensitive file: a person decides."""
    miss = Miss("unknown-path", [], "", [])
    assert anomaly_of(make(["x"]), profile, miss).habits == keys_of(make(["x"]))
    assert not anomaly_of(make(["x"]), profile, miss._replace(reason="novel-slot")).habits
    assert not anomaly_of(make(["x"]), profile, miss._replace(reason="usage-jump")).habits
    assert not anomaly_of(make(["x", *(f"{chr(97 + n)}-word" * 8 for n in range(26))]), profile, miss).habits
    shadow = Event(ts=0, container=Container(), class_="file", op="open", file=File(path="/etc/shadow"))
    assert not anomaly_of(shadow, profile, miss).habits
    peer = Event(
        ts=0,
        container=Container(),
        class_="network",
        op="connect",
        network=Network(remote_ip="9.9.9.9", remote_port=1),
    )
    assert anomaly_of(peer, profile, miss._replace(reason="new-remote")).habits


async def test_the_stream_of_scores_is_read_and_the_mark_kept(bus, stack, embedder, make):
    """End to end: three Pods, low scores, and the next event of a fourth is no anomaly."""
    await stack.start(tuning_after_s=0.5)
    await stack.feed([make(["java"])])
    sequence = await stack.feed([make(["tar"])])
    await stack.ask("converge", after=sequence)
    news = make(["cleanup", "--all"])
    await stack.ask("sync", after=await stack.feed([news]))
    [anomaly] = await stack.anomalies()
    assert anomaly.habits == keys_of(news)
    subject = subjects.scores(partition_of(IMAGE))
    await bus.js.publish(subject, b"rubbish")
    for number in range(8):
        verdict = scored(news, number / 7200, f"pod-{number % 3}")
        await bus.js.publish(subject, verdict.model_dump_json().encode())

    async def tuned_in():
        detail = (await stack.ask("show", image_key=IMAGE)).detail
        return [mark.who for mark in detail.summary.notes.marks] == [WHO]

    consumer = f"profiler-tuning-{partition_of(IMAGE)}"

    async def acknowledged():
        info = await bus.js.consumer_info(subjects.SCORES, consumer)
        return not info.num_pending and not info.num_ack_pending

    await stack.until(tuned_in)
    await stack.until(acknowledged)  # only then does a snapshot hold the mark
    stack.kill()
    await stack.start(tuning_after_s=0.5)
    await stack.ask("sync", after=await stack.feed([make(["cleanup", "--all"])]))
    assert len(await stack.anomalies()) == 1
    assert "a verdict cannot be read" in stack.log()
    detail = (await stack.ask("show", image_key=IMAGE)).detail
    assert len(detail.summary.notes.marks) == 1
    assert json.loads(detail.summary.notes.marks[0].habits[0])[0] == "process"

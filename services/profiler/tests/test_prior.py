# SPDX-License-Identifier: Apache-2.0
"""What departures meant elsewhere acquits and accuses, and never more than it may."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_leaves import leaf_of
from habitus_profiler import prior
from habitus_profiler.forms import form_of
from habitus_profiler.slots import Slot

NOTHING = prior.Seen(frozenset(), frozenset())
MILD = prior.Weights({"p=batch": -9.0, "k=flag": -1.0, "p=harm": 9.0, "w=word": 0.0}, -1.0, -2.0, 3.0)
"""Weights of these tests: batches are harmless, harm is harm."""

HARD = [
    Slot("remote", "203.0.113.9"),
    Slot("remote", "batch.example.com"),
    Slot("remote", "any"),
    Slot("blob", "base64"),
    Slot("program", "in /tmp"),
    Slot("scratch", "batch"),
    Slot("path", "/tmp/batch/*.so"),
    Slot("path", "/home/batch/.*/*.yaml"),
    Slot("load", "/dev/shm/batch.so"),
    Slot("command", "sh"),
    Slot("reach", "batch.shop.svc"),
    Slot("mode", "setid"),
    Slot("layer", "writable"),
    Slot("overlong", "batch"),
    Slot("path", "/etc/cron.d/batch"),
    Slot("path", "/run/batch/batch.sock"),
    Slot("path", "/etc/shadow"),
    Slot("path", "./"),
    Slot("path", "../batch/*.js"),
    Slot("operator", "> /etc/cron.d/batch"),
]


def test_what_is_seldom_harm_is_acquitted_and_what_mostly_is_is_accused():
    """By the sum of the weights of what is new."""
    mild = prior.weigh("app --batch-size", [Slot("flag", "--batch-size")], NOTHING, MILD)
    assert mild.acquitted
    assert not mild.accused
    harm = prior.weigh("app harm", [], NOTHING, MILD)
    assert harm.accused
    assert not harm.acquitted
    assert harm.because == ("harm",)
    nothing = prior.weigh("app", [], NOTHING, MILD)
    assert not nothing.acquitted
    assert not nothing.accused


@pytest.mark.parametrize("slot", HARD, ids=str)
def test_what_is_news_by_itself_is_never_acquitted(slot):
    """Whatever such words meant elsewhere."""
    assert not prior.weigh("app batch batch-size", [slot], NOTHING, MILD).acquitted
    assert prior.weigh("app batch", [Slot("flag", "--batch")], NOTHING, MILD).acquitted


def test_much_that_is_new_is_never_acquitted():
    """Two novel slots at most: a hidden one among many mild ones stays news."""
    slots = [Slot("flag", f"--batch-{name}") for name in ("a", "b", "c")]
    assert prior.weigh("app", slots[:2], NOTHING, MILD).acquitted
    assert not prior.weigh("app", slots, NOTHING, MILD).acquitted


plain = st.lists(st.text("abcdeghmnort-", min_size=1, max_size=12), max_size=30)


@given(plain, plain)
def test_mild_words_do_not_buy_off_what_speaks_against_a_line(said, more):
    """However many stand beside it: their weight is bounded."""
    slots = [Slot("flag", "--plugin-dir")]
    alone = prior.weigh(" ".join(["app", *said]), slots, NOTHING)
    beside = prior.weigh(" ".join(["app", *said, *more]), slots, NOTHING)
    count = 4 * abs(prior.shipped().of.get("new", 0.0))
    assert beside.bounded >= alone.bounded - 4.0 - count - 1e-6


def test_the_table_that_comes_along_is_sound():
    """Finite, ordered, without hosts and words that give away who wrote the examples."""
    weights = prior.shipped()
    assert weights.acquits < weights.accuses
    assert len(weights.of) > 1000
    assert all(math.isfinite(weight) for weight in weights.of.values())
    assert not [
        name for name in weights.of if re.search(r"[:=](?:evil|exfil|attacker|example|payload)\Z", name)
    ]


@pytest.mark.parametrize(
    ("mild", "harm"),
    [
        ("--batch-size 5", "--plugin-dir p"),
        ("--log-format json", "--exec-hook x"),
        ("status", "teardown"),
        ("--dry-run", "--no-verify"),
    ],
)
def test_it_knows_what_words_mostly_mean(mild, harm):
    """Less for what is harmless than for what is not."""
    scores = [prior.weigh(f"app {words}", [], prior.seen_in(["app"])).score for words in (mild, harm)]
    assert scores[0] < scores[1]


def test_a_leaf_says_why_words_accuse_a_line():
    """The slots call it quiet."""
    leaf = leaf_of("feast -c /repo materialize 2026-01-01", "feast -c /repo apply")
    form = form_of(("feast", "-c", "/repo", "teardown"))
    assert leaf.strange(form) == []
    novelty = leaf.novelty("/usr/bin/feast", form)
    assert novelty is not None
    assert novelty.detail == "new words that mostly meant harm elsewhere: teardown"


def test_a_leaf_keeps_what_it_weighed_until_it_learns():
    """The same form is another question once more is known."""
    leaf = leaf_of("feast -c /repo apply")
    form = form_of(("feast", "-c", "/repo", "teardown"))
    before = leaf.novelty("/usr/bin/feast", form)
    leaf.learn("/usr/bin/feast", form)
    assert before is not None
    assert leaf.novelty("/usr/bin/feast", form) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#bias\t1\n#acquits\t0\nharm\n", "no figure: harm"),
        ("# told\n#bias\t1\n#acquits\t0\n", "'#accuses' is missing"),
        ("#bias\tmuch\n", "could not convert"),
    ],
)
def test_a_table_that_cannot_be_read_is_told(text, said):
    """With the line, or what is missing."""
    with pytest.raises(ValueError, match=re.escape(said)):
        prior.read(text)

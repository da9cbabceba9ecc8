# SPDX-License-Identifier: Apache-2.0
"""What a form says that no slot tells: nothing new, a question, or an act."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_profiler.saying import ACTING, LOOKING, acts, is_quiet, vocabulary_of

LEARNED = [
    "tool ls --json store/a",
    "tool cp --recursive /data store/a",
    "tool stat store/b",
    'sh -c " app run "',
]
SEEN = vocabulary_of(LEARNED)
QUIET = [
    "tool ls store/c",  # a flag left out
    "tool --json stat store/c",  # another order
    "tool du --depth <number> store/c",  # a question
    "tool list-tags store/c",
    "tool cluster_status",
    "tool replicate status store/c",
]
OPEN = [
    "tool retention compliance governance store/c",  # neither asks nor acts
    "tool share list",  # an act stays one beside a question
    "tool rm store/c",
    "tool share download store/c",
    "tool --json share store/c",  # nor does it hide behind a switch
    'sh -c " app list "',  # shell text has slots
    "tool retention $(list)",
]


@pytest.mark.parametrize("form", QUIET)
def test_what_says_nothing_new_or_only_asks_needs_no_vector(form):
    """Flags left out or in another order, and words that only look."""
    assert is_quiet(form, SEEN)


@pytest.mark.parametrize("form", OPEN)
def test_what_says_more_is_left_to_the_cosine(form):
    """An act, a new word, a text in quotes."""
    assert not is_quiet(form, SEEN)


@pytest.mark.parametrize("word", sorted(ACTING))
def test_an_act_that_is_new_needs_the_model_s_own_cosine(word):
    """As a word, as a part of one, and behind a flag that was never seen."""
    for form in (
        f"tool {word} store/c",
        f"tool {word}-all store/c",
        f"tool db:{word}",
        f"tool --new {word} store/c",
    ):
        assert acts(form, SEEN), form
        assert not is_quiet(form, SEEN) or form.startswith("tool --new"), form
    assert not acts(f"tool {word}", vocabulary_of([f"tool {word}"]))


def test_no_word_both_looks_and_acts():
    """The tables are apart."""
    assert LOOKING.isdisjoint(ACTING)


words = st.sampled_from(
    ["ls", "rm", "--json", "-n", "store/a", "<number>", "du", "share", '"', "x=y", "-", "$(id)"]
)


@given(
    st.lists(words, max_size=8),
    st.lists(st.lists(words, max_size=5), max_size=5),
    st.randoms(use_true_random=False),
)
def test_only_what_was_learned_counts_and_in_no_order(form, learned, shuffle: random.Random):
    """What was learned says nothing new, but for text in quotes; the order of learning is no matter."""
    texts = [" ".join(["tool", *each]) for each in learned]
    shuffled = texts.copy()
    shuffle.shuffle(shuffled)
    seen, other = vocabulary_of(texts), vocabulary_of(shuffled)
    asked = " ".join(["tool", *form])
    assert seen == other
    assert is_quiet(asked, seen) is is_quiet(asked, other)
    assert all(is_quiet(text, seen) for text in texts if not {'"', "$(id)", "-"} & set(text.split()))
    assert not any(acts(text, seen) for text in texts)

# SPDX-License-Identifier: Apache-2.0
"""Danger marks in the names of flags and variables: a name without one is mild, and each mark is news."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_leaves import listed, used_a_little
from habitus_profiler.flags import is_mild
from habitus_profiler.forms import form_of
from habitus_profiler.hazards import CODE, HARMLESS_PAIRS, LOADING, POWERS, PROTECTIONS, WHO
from habitus_profiler.naming import parts_of

MILD_WORDS = ["wide", "size", "color", "retry", "table", "page", "row", "depth", "margin"]


def is_news(program, arguments):
    novelty = used_a_little(program).novelty(f"/usr/bin/{program}", form_of((program, *arguments)))
    return novelty is not None


def test_every_listed_flag_that_does_harm_is_news():
    """Hundreds of flags of common programs by which they run, load, reach, trust or forget."""
    flags = list(listed("harmful_flags.txt"))
    assert len(flags) > 400
    assert [flag for flag in flags if not is_news(*flag)] == []


def test_no_listed_flag_that_does_no_harm_is_news():
    """Hundreds of others of the same programs: how much, how long, how told, in what order."""
    flags = list(listed("harmless_flags.txt"))
    assert len(flags) > 2800
    assert [flag for flag in flags if is_news(*flag)] == []


@pytest.mark.parametrize("word", sorted(POWERS))
def test_a_power_is_news_wherever_it_stands_in_a_name(word):
    """Switched on, or given anything but a level."""
    assert not is_mild(f"--{word}", "none")
    assert not is_mild(f"--page-{word}", "on")
    assert not is_mild(f"--{word}-table", "word")


@pytest.mark.parametrize("word", sorted(PROTECTIONS))
def test_a_protection_that_is_switched_off_is_news(word):
    """By its name or by its value."""
    assert not is_mild(f"--no-page-{word}", "none")
    assert not is_mild(f"--page-{word}", "off")
    assert not is_mild(f"--disable-{word}", "on")


@pytest.mark.parametrize("word", sorted(CODE))
def test_a_place_where_code_or_settings_lie_is_news(word):
    """What lies there is run or obeyed, however harmless the place is."""
    assert not is_mild(f"--{word}", "place")
    assert not is_mild(f"--{word}-dir", "setting")


@pytest.mark.parametrize("word", sorted(LOADING))
def test_a_word_that_names_code_or_a_person_is_news(word):
    """`--plugin evil`, `--user root`."""
    assert not is_mild(f"--{word}", "word")


@pytest.mark.parametrize("word", sorted(WHO))
def test_one_digit_says_who(word):
    """`--uid 0`; no port has one digit."""
    assert not is_mild(f"--{word}", "digit")
    assert is_mild("--port", "digit")


marks = st.sampled_from(sorted(POWERS))
pairs = st.sampled_from(sorted(HARMLESS_PAIRS))


@given(pairs, marks, st.booleans())
def test_two_words_that_mean_no_harm_cover_no_third(pair, mark, first):
    """`--storage-class` is mild, `--exec-storage-class` is not."""
    name = "-".join(pair)
    assert is_mild(f"--{name}", "word")
    with_mark = f"--{mark}-{name}" if first else f"--{name}-{mark}"
    if (
        not set(zip(parts_of(mark), pair[:1], strict=False)) & HARMLESS_PAIRS
        and (mark, pair[0]) not in HARMLESS_PAIRS
    ):
        assert not is_mild(with_mark, "none")


@given(st.lists(st.sampled_from(MILD_WORDS), min_size=1, max_size=4), marks, st.integers(0, 4))
def test_a_mark_is_news_among_any_number_of_mild_words(words, mark, at):
    """Long names hide nothing."""
    assert not is_mild("--" + "-".join([*words[:at], mark, *words[at:]]), "none")

# SPDX-License-Identifier: Apache-2.0
"""Names of addresses: for how long, for whom, and how many."""

import pytest

from habitus_collector.names import (
    CONTAINERS_LIMIT,
    ENTRIES_LIMIT,
    LONGEST_NS,
    NS,
    SHORTEST_NS,
    AllNames,
    Names,
)


def asked_and_answered(live: int) -> Names:
    names = Names()
    names.ask(7, "a.b", 41, 0)
    names.answer(7, "a.b", [("10.0.0.9", live)], 0)
    return names


@pytest.mark.parametrize(("live", "lasts"), [(0, SHORTEST_NS), (300, 300 * NS), (2**31, LONGEST_NS)])
def test_a_name_lasts_as_long_as_the_answer_says_within_bounds(live, lasts):
    names = asked_and_answered(live)

    assert names.name_of("10.0.0.9", lasts - 1) == "a.b"
    assert names.name_of("10.0.0.9", lasts) is None


@pytest.mark.parametrize(("number", "name", "now"), [(8, "a.b", 0), (7, "b.a", 0), (7, "a.b", 11 * NS)])
def test_an_answer_that_nobody_asked_for_is_not_believed(number, name, now):
    names = Names()
    names.ask(7, "a.b", 41, 0)

    names.answer(number, name, [("10.0.0.9", 60)], now)

    assert names.name_of("10.0.0.9", now) is None


def test_a_question_is_answered_once():
    names = asked_and_answered(60)

    names.answer(7, "a.b", [("10.0.0.8", 60)], 0)

    assert names.name_of("10.0.0.8", 0) is None


def test_the_last_name_of_an_address_counts():
    names = asked_and_answered(60)
    names.ask(8, "c.d", 41, NS)
    names.answer(8, "c.d", [("10.0.0.9", 60)], NS)

    assert names.name_of("10.0.0.9", 2 * NS) == "c.d"


def test_a_flood_keeps_its_bounds():
    names = Names()
    for number in range(ENTRIES_LIMIT * 3):
        names.ask(number, f"{number}.b", 41, 0)
        names.answer(number, f"{number}.b", [(f"10.0.{number >> 8}.{number & 255}", 60)], 0)

    kept = [table for table in vars(names).values() if len(table) > ENTRIES_LIMIT]
    assert not kept
    assert names.name_of("10.0.2.255", 0) == "767.b"


def test_containers_do_not_share_names_and_the_oldest_go_first():
    everyone = AllNames()
    first = everyone.of(1)
    assert everyone.of(1) is first
    assert everyone.of(2) is not first

    for cgroup in range(3, CONTAINERS_LIMIT + 2):
        everyone.of(cgroup)

    assert everyone.of(1) is not first

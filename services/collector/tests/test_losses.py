# SPDX-License-Identifier: Apache-2.0
"""Who is told of what was lost."""

from collections import Counter

import pytest

from habitus_collector.losses import Losses, LossOf

SECOND = 10**9


class Clock:
    now = 1000 * SECOND

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def losses(clock):
    return Losses("n1", clock)


def told(notices):
    return {(one.image, one.class_): one.count for one in notices}


def test_what_nobody_can_lay_to_one_image_concerns_each_that_is_watched(losses, clock):
    clock.now += SECOND
    notices = losses.notices({"file": 7, "process": 2}, ["a:1", "b:1"])

    assert told(notices) == {
        ("a:1", "file"): 7, ("b:1", "file"): 7, ("a:1", "process"): 2, ("b:1", "process"): 2,
    }  # fmt: skip
    assert {(one.since, one.until) for one in notices} == {(1000 * SECOND, 1001 * SECOND)}


def test_what_is_known_to_be_of_one_image_is_told_to_it_alone_and_the_rest_to_all(losses):
    storm = {11: LossOf("a:1", {"file": 5, "process": 1})}

    first = losses.notices({"file": 7, "process": 1}, ["a:1", "b:1"], storm)

    assert [(one.image, one.class_, one.count) for one in first] == [
        ("a:1", "file", 5), ("a:1", "process", 1), ("a:1", "file", 2), ("b:1", "file", 2),
    ]  # fmt: skip
    assert losses.notices({"file": 7, "process": 1}, ["a:1", "b:1"], storm) == []


def test_a_part_that_is_ahead_of_the_sum_is_told_once(losses):
    """It is read a moment later, in the middle of a storm."""
    first = losses.notices({"file": 7}, ["a:1", "b:1"], {11: LossOf("a:1", {"file": 9})})
    second = losses.notices({"file": 12}, ["a:1", "b:1"], {11: LossOf("a:1", {"file": 12})})

    assert (told(first), told(second)) == ({("a:1", "file"): 9}, {("a:1", "file"): 3})


def test_what_was_lost_before_the_name_came_is_told_to_all_and_not_again(losses):
    first = losses.notices({"file": 7}, ["a:1", "b:1"], {11: LossOf(None, {"file": 7})})
    second = losses.notices({"file": 9}, ["a:1", "b:1"], {11: LossOf("a:1", {"file": 9})})
    third = losses.notices({"file": 10}, ["a:1", "b:1"], {11: LossOf("a:1", {"file": 9})})

    assert told(first) == {("a:1", "file"): 7, ("b:1", "file"): 7}
    assert told(second) == {("a:1", "file"): 2}
    assert told(third) == {("a:1", "file"): 1, ("b:1", "file"): 1}


def test_a_container_that_is_forgotten_leaves_nothing_open(losses):
    losses.notices({"file": 7}, ["a:1", "b:1"], {11: LossOf("a:1", {"file": 7})})

    assert losses.notices({"file": 7}, ["b:1"], {}) == []
    assert told(losses.notices({"file": 8}, ["b:1"], {12: LossOf("b:1", {"file": 1})})) == {
        ("b:1", "file"): 1
    }


def test_only_what_is_new_since_the_last_look_is_told(losses, clock):
    losses.notices({"file": 7}, ["a:1"])
    clock.now += SECOND
    assert losses.notices({"file": 7}, ["a:1"]) == []
    clock.now += SECOND
    (notice,) = losses.notices({"file": 9}, ["a:1"])

    assert (notice.count, notice.since, notice.until) == (2, 1001 * SECOND, 1002 * SECOND)


def test_an_image_whose_last_container_just_ended_is_told_too(losses):
    losses.notices({}, ["a:1", "b:1"])

    assert told(losses.notices({"process": 1}, ["b:1"])) == {("a:1", "process"): 1, ("b:1", "process"): 1}
    assert told(losses.notices({"process": 2}, ["b:1"])) == {("b:1", "process"): 1}


def test_what_is_known_of_one_image_concerns_that_one(losses, clock):
    losses.count("a:1", "process", 3)
    clock.now += SECOND
    losses.count("a:1", "process", 2)
    (notice,) = losses.notices({}, ["a:1", "b:1"])

    assert (notice.image, notice.count) == ("a:1", 5)
    assert (notice.since, notice.until) == (1000 * SECOND, 1001 * SECOND)
    assert losses.total == Counter(process=5)


def test_a_notice_that_had_no_room_is_told_again_with_its_interval(losses, clock):
    losses.count("a:1", "file", 3)
    (refused,) = losses.notices({}, ["a:1"])
    clock.now += 5 * SECOND
    losses.again(refused)
    losses.count("a:1", "file", 1)
    (notice,) = losses.notices({}, ["a:1"])

    assert (notice.count, notice.since, notice.until) == (4, 1000 * SECOND, 1005 * SECOND)


def test_where_nobody_is_watched_it_waits_for_somebody_but_not_for_long(losses, clock):
    assert losses.notices({"container": 1}, []) == []
    clock.now += SECOND
    assert told(losses.notices({"container": 1}, ["a:1"])) == {("a:1", "container"): 1}
    losses.notices({"container": 1}, [])
    losses.notices({"container": 2}, [])
    losses.notices({"container": 2}, [])
    for _ in range(3):
        clock.now += 40 * SECOND
        losses.notices({"container": 2}, [])

    assert losses.notices({"container": 2}, ["a:1"]) == []


def test_the_time_in_which_no_collector_ran_concerns_each_image_that_is_watched_after(losses, clock):
    losses.away(clock.now - 3600 * SECOND)
    clock.now += SECOND
    first = losses.notices({}, [])
    clock.now += SECOND
    second = losses.notices({}, ["a:1", "b:1"])

    assert first == []
    assert told(second) == {("a:1", "collector"): 1, ("b:1", "collector"): 1}
    assert {(one.since, one.until) for one in second} == {(-2600 * SECOND, 1000 * SECOND)}
    assert losses.notices({}, ["a:1", "b:1"]) == []
    assert not losses.total


def test_a_status_of_the_future_is_no_gap(losses, clock):
    losses.away(clock.now + SECOND)

    assert losses.notices({}, ["a:1"]) == []

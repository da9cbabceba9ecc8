# SPDX-License-Identifier: Apache-2.0
"""Numbers of profiles: one an image, and no verdict of one image ever serves another."""

import logging

import pytest

from habitus_collector.profile_numbers import Profiles


@pytest.fixture
def forgotten():
    return []


def test_an_image_has_one_number_from_1_on():
    profiles = Profiles()

    assert [profiles.number_of(key) for key in ("a:1", "b:1", "a:1")] == [1, 2, 1]
    assert profiles.image_of(2) == "b:1"
    assert profiles.image_of(3) is None


def test_looking_for_a_number_gives_none():
    profiles = Profiles()

    assert profiles.find("a:1") == 0
    assert profiles.number_of("b:1") == 1
    assert profiles.find("b:1") == 1


def test_an_image_that_comes_back_has_its_number_again(forgotten):
    profiles = Profiles(forgotten.append)
    profiles.number_of("a:1")
    profiles.release("a:1")

    assert profiles.number_of("b:1") == 2
    assert profiles.number_of("a:1") == profiles.find("a:1") == 1
    assert forgotten == []


def test_when_all_are_used_further_images_get_none_and_it_is_said_once(caplog):
    profiles = Profiles(limit=2)
    profiles.number_of("a:1")
    profiles.number_of("b:1")
    profiles.release("a:1")  # nobody can forget what is known of it

    with caplog.at_level(logging.WARNING):
        assert [profiles.number_of(key) for key in ("c:1", "d:1", "b:1")] == [0, 0, 2]

    assert len(caplog.records) == 1
    assert profiles.find("c:1") == 0


def test_a_number_passes_on_only_after_what_was_known_by_it_is_forgotten(forgotten):
    profiles = Profiles(forgotten.append, limit=3)
    for key in ("a:1", "b:1", "c:1"):
        profiles.number_of(key)
    profiles.release("c:1")
    profiles.release("a:1")

    assert profiles.number_of("d:1") == 1
    assert forgotten == [[3, 1]]
    assert profiles.find("a:1") == profiles.find("c:1") == 0
    assert [profiles.number_of("e:1"), profiles.number_of("f:1")] == [3, 0]
    assert profiles.image_of(1) == "d:1"


def test_an_image_that_runs_again_keeps_its_number_when_others_lose_theirs(forgotten):
    profiles = Profiles(forgotten.append, limit=2)
    for key in ("a:1", "b:1"):
        profiles.number_of(key)
        profiles.release(key)
    profiles.number_of("b:1")

    assert profiles.number_of("c:1") == 1
    assert profiles.find("b:1") == 2


def test_releasing_what_has_no_number_changes_nothing():
    profiles = Profiles()
    profiles.release("a:1")

    assert profiles.find("a:1") == 0

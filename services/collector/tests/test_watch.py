# SPDX-License-Identifier: Apache-2.0
"""Sorting of cgroups, and events that wait for their container's name."""

import pytest

from habitus.events import Container
from habitus_collector import watch as watching
from habitus_collector.discovery import Identity
from habitus_collector.watch import unresolved

ID = "a1" * 32
OF_CONTAINER = ((10, "docker"), (11, ID))
BELOW = (*OF_CONTAINER, (12, "init.scope"))
OF_HOST = ((20, "system.slice"), (21, "ssh.service"))


@pytest.fixture
def arrivals(heard):
    return heard.arrivals


def numbers(events):
    return [event.ts for event in events]


def test_a_containers_group_becomes_a_target_and_is_asked_for_once(watch, maps, arrivals):
    watch.announce(11, OF_CONTAINER)
    watch.announce(11, OF_CONTAINER)

    assert maps.targets == {11: 11}
    assert [place.id for place in arrivals] == [ID]


def test_a_group_below_belongs_to_the_same_container(watch, maps, arrivals):
    watch.announce(11, OF_CONTAINER)
    watch.announce(12, BELOW)

    assert maps.targets == {11: 11, 12: 11}
    assert watch.containers == len(arrivals) == 1


def test_the_hosts_groups_are_ignored_and_their_events_dropped(watch, maps, published, event_number):
    watch.take(21, event_number(1))
    watch.announce(21, OF_HOST)
    watch.take(21, event_number(2))

    assert maps.ignored == {21}
    assert published == []
    assert not watch.lost


def test_events_wait_for_the_name_and_keep_their_order(watch, published, event_number):
    watch.announce(11, OF_CONTAINER)
    for number in (1, 2, 3):
        watch.take(11, event_number(number))
    assert published == []

    watch.name(ID, Identity(Container(id=ID, image="webapp:v1")))
    watch.take(11, event_number(4))

    assert numbers(published) == [1, 2, 3, 4]
    assert {event.container.image for event in published} == {"webapp:v1"}


def test_an_event_before_its_announcement_is_kept(watch, published, event_number):
    watch.take(11, event_number(1))
    watch.announce(11, OF_CONTAINER)
    watch.take(11, event_number(2))
    watch.name(ID, Identity(Container(id=ID, image="webapp:v1")))

    assert numbers(published) == [1, 2]


def test_a_later_name_replaces_the_first(watch, published, event_number):
    watch.announce(11, OF_CONTAINER)
    watch.name(ID, Identity(Container(id=ID, image="unresolved:a1a1a1a1a1a1")))
    watch.take(11, event_number(1))
    watch.name(ID, Identity(Container(id=ID, image="webapp:v1")))
    watch.take(11, event_number(2))

    assert [event.container.image for event in published] == ["unresolved:a1a1a1a1a1a1", "webapp:v1"]


def test_a_sandbox_is_dismissed_with_what_waited(watch, maps, published, event_number):
    watch.announce(11, OF_CONTAINER)
    watch.take(11, event_number(1))
    watch.dismiss(ID)
    watch.announce(12, BELOW)

    assert watch.containers == 0
    assert published == []
    assert maps.ignored == {11, 12}


def test_events_beyond_the_limit_are_counted_as_lost(watch, published, event_number, monkeypatch):
    monkeypatch.setattr(watching, "HELD_LIMIT", 2)
    watch.announce(11, OF_CONTAINER)
    for number in range(5):
        watch.take(11, event_number(number))
    watch.name(ID, Identity(Container(id=ID, image="webapp:v1")))

    assert numbers(published) == [0, 1]
    assert watch.lost == {"process": 3}


def test_events_whose_group_nobody_ever_announces_are_counted_as_lost(watch, maps, event_number):
    watch.take(99, event_number(1))
    watch.compare([()])
    assert not watch.lost  # the announcement may still be in another ring
    watch.compare([()])

    assert watch.lost == {"process": 1}
    assert maps.forgotten == [99]


def test_what_stands_in_the_tree_at_start_is_sorted(watch, maps):
    watch.compare([(), OF_HOST[:1], OF_HOST, OF_CONTAINER[:1], OF_CONTAINER, BELOW])

    assert maps.targets == {11: 11, 12: 11}
    assert maps.ignored == {1, 10, 20, 21}


def test_a_container_is_forgotten_once_its_group_is_missing_twice(watch, maps, published, event_number):
    watch.announce(11, OF_CONTAINER)
    watch.name(ID, Identity(Container(id=ID, image="webapp:v1")))
    watch.compare([()])
    watch.take(11, event_number(1))
    assert watch.containers == 1

    watch.compare([()])

    assert numbers(published) == [1]
    assert watch.containers == 0
    assert maps.targets == {}
    assert maps.forgotten == [11]


def test_a_container_that_comes_back_is_kept(watch, maps):
    for tree in ([OF_CONTAINER], [()], [OF_CONTAINER], [()]):
        watch.compare(tree)

    assert watch.containers == 1


def test_an_unresolved_container_still_has_what_its_path_told(watch, arrivals):
    watch.announce(13, ((12, "pod8a40e7c4-f30c-4509-b18b-2ac06b6d622a"), (13, ID)))

    container = unresolved(arrivals[0])

    assert container.image == "unresolved:a1a1a1a1a1a1"
    assert container.pod.uid == "8a40e7c4-f30c-4509-b18b-2ac06b6d622a"

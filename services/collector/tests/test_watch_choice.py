# SPDX-License-Identifier: Apache-2.0
"""Which containers a target set lets through, and the numbers of their images' profiles."""

from habitus.events import Container, Pod
from habitus.targets import Targets
from habitus_collector.discovery import Identity

ID, OTHER, THIRD = "a1" * 32, "b2" * 32, "c3" * 32
OF_WEB = ((10, "docker"), (11, ID))
BELOW = (*OF_WEB, (12, "init.scope"))
OF_OTHER = ((10, "docker"), (21, OTHER))
OF_THIRD = ((10, "docker"), (31, THIRD))
SHOP = Targets([{"namespace": "shop"}])
BLUE = Targets([{"label": "tier=blue"}])


def identity(container_id, image="webapp:v1", namespace="shop", **labels):
    pod = Pod(name="web-0", namespace=namespace)
    return Identity(Container(id=container_id, name="web", image=image, pod=pod), labels=labels)


def test_a_container_that_is_not_chosen_is_ignored_and_what_waited_is_dropped(
    watch, maps, published, event_number
):
    watch.select(Targets([{"namespace": "other"}]))
    watch.announce(11, OF_WEB)
    watch.take(11, event_number(1))
    assert maps.targets == {11: 11}

    assert not watch.name(ID, identity(ID))
    watch.take(11, event_number(2))
    watch.announce(12, BELOW)
    watch.take(12, event_number(3))

    assert published == []
    assert not watch.lost
    assert maps.ignored == {11, 12}
    assert watch.containers == 0
    assert list(watch.running()) == []


def test_a_container_that_is_chosen_again_is_watched_and_its_processes_are_asked_for(
    watch, maps, heard, published, event_number
):
    watch.announce(11, OF_WEB)
    watch.name(ID, identity(ID, tier="blue"))
    watch.select(Targets([{"label": "tier=red"}]))
    assert maps.ignored == {11}

    watch.select(BLUE)
    watch.take(11, event_number(1))

    assert maps.targets == {11: 11}
    assert heard.late_ones == [ID]
    assert len(published) == 1
    assert watch.containers == 1


def test_each_choice_after_a_refusal_is_a_new_epoch_for_all_groups_of_the_container(watch, maps):
    watch.announce(11, OF_WEB)
    watch.name(ID, identity(ID, tier="blue"))
    assert maps.epochs == {11: 0}

    for _ in range(2):
        watch.select(SHOP)  # chosen, as before
        watch.select(Targets([{"label": "tier=red"}]))
        watch.select(BLUE)
    watch.announce(12, BELOW)

    assert maps.epochs == {11: 2, 12: 2}


def test_a_set_that_changes_nothing_for_a_container_leaves_it_alone(watch, maps, heard):
    watch.announce(11, OF_WEB)
    watch.name(ID, identity(ID))
    maps.targets.clear()

    watch.select(SHOP)

    assert maps.targets == {}
    assert heard.late_ones == []


def test_a_container_that_has_no_name_yet_is_held_whatever_the_set(watch, published, event_number):
    watch.announce(11, OF_WEB)
    watch.take(11, event_number(1))
    watch.select(SHOP)
    assert published == []

    assert watch.name(ID, identity(ID))

    assert len(published) == 1


def test_a_name_that_comes_late_may_choose(watch, heard, published, event_number):
    watch.select(SHOP)
    watch.announce(11, OF_WEB)
    assert not watch.name(ID, Identity(Container(id=ID, image="unresolved:a1a1a1a1a1a1")))

    assert watch.name(ID, identity(ID))
    watch.take(11, event_number(1))

    assert heard.late_ones == [ID]
    assert len(published) == 1


def test_only_what_a_scan_finds_or_a_set_chooses_again_is_late(watch, heard):
    watch.announce(11, OF_WEB)
    watch.compare([OF_WEB[:1], OF_WEB, OF_OTHER])

    assert heard.late_ones == [OTHER]


def test_all_groups_of_a_container_have_the_number_of_its_images_profile(watch, maps, profiles):
    watch.announce(11, OF_WEB)
    watch.announce(21, OF_OTHER)
    watch.announce(31, OF_THIRD)
    assert maps.profiles == {11: 0, 21: 0, 31: 0}

    watch.name(ID, identity(ID))
    watch.name(OTHER, identity(OTHER, image="db:v1"))
    watch.name(THIRD, identity(THIRD))
    watch.announce(12, BELOW)

    assert maps.profiles == {11: 1, 12: 1, 21: 2, 31: 1}
    assert profiles.image_of(1) == "webapp:v1"


def test_an_unresolved_container_has_a_number_of_its_own_until_it_is_named(watch, maps):
    watch.announce(11, OF_WEB)
    watch.name(ID, Identity(Container(id=ID, image="unresolved:a1a1a1a1a1a1")))
    assert maps.profiles == {11: 1}

    watch.name(ID, identity(ID))

    assert maps.profiles == {11: 2}


def test_an_images_number_is_released_with_its_last_container(watch, heard, maps):
    released = []
    profiles = watch._profiles
    profiles.release = released.append
    for group, levels in ((11, OF_WEB), (31, OF_THIRD)):
        watch.announce(group, levels)
        watch.name(levels[-1][1], identity(levels[-1][1]))

    for _ in range(2):
        watch.compare([OF_WEB])
    assert (heard.gone_ones, released) == ([THIRD], [])
    for _ in range(2):
        watch.compare([()])

    assert (heard.gone_ones, released) == ([THIRD, ID], ["webapp:v1"])


def test_a_scan_tells_where_a_containers_own_group_lies(watch):
    watch.compare([OF_WEB[:1], OF_WEB, BELOW])
    watch.name(ID, identity(ID))

    assert [watched.folder for watched in watch.running()] == [f"docker/{ID}"]

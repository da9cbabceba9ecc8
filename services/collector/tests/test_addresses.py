# SPDX-License-Identifier: Apache-2.0
"""Whose address is it: one container, a Pod's several, and what is nobody's."""

import pytest

from habitus.events import Peer, Pod
from habitus_collector.addresses import Addresses

WEB = Peer(container="web", image="webapp:v1")
POD = Pod(name="web-0", namespace="shop")


@pytest.mark.parametrize(
    ("told", "asked"),
    [("10.0.0.9", "10.0.0.9"), ("FD00::1", "fd00::1"), ("::ffff:10.0.0.9", "10.0.0.9")],
)
def test_an_address_names_its_container_however_it_is_spelt(told, asked):
    addresses = Addresses()
    addresses.set("a", WEB, [told])

    assert addresses.peer_of(asked) == addresses.peer_of(told) == WEB


def test_what_is_said_later_replaces_what_was_said_before():
    addresses = Addresses()
    addresses.set("a", WEB, ["10.0.0.9", "10.0.0.10"])
    addresses.set("a", WEB, ["10.0.0.10"])

    assert addresses.peer_of("10.0.0.9") is None
    assert addresses.peer_of("10.0.0.10") == WEB


def test_a_container_that_goes_takes_its_addresses_along():
    addresses = Addresses()
    addresses.set("a", WEB, ["10.0.0.9"])
    addresses.forget("a")
    addresses.forget("never seen")

    assert addresses.peer_of("10.0.0.9") is None


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "0.0.0.0", "::", "", "no address", "10.0.0.9/24"])  # noqa: S104
def test_what_is_everybodys_or_no_address_names_nobody(text):
    addresses = Addresses()
    addresses.set("a", WEB, [text])

    assert addresses.peer_of(text) is None


def test_containers_of_one_pod_share_its_address_and_only_the_pod_is_named():
    addresses = Addresses()
    addresses.set("a", Peer(container="web", image="webapp:v1", pod=POD), ["10.0.0.9"])
    addresses.set("b", Peer(container="log", image="logger:v1", pod=POD), ["10.0.0.9"])

    assert addresses.peer_of("10.0.0.9") == Peer(pod=POD)
    addresses.forget("b")
    assert addresses.peer_of("10.0.0.9").container == "web"


def test_strangers_with_one_address_are_nobody():
    addresses = Addresses()
    addresses.set("a", WEB, ["10.0.0.9"])
    addresses.set("b", Peer(container="db", image="db:v1"), ["10.0.0.9"])

    assert addresses.peer_of("10.0.0.9") is None

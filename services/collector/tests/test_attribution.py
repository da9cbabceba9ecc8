# SPDX-License-Identifier: Apache-2.0
"""From a cgroup's place to a name, an address and a decision: what sources say, in whatever order."""

import asyncio
import logging

import pytest

from habitus.events import Container, Peer, Pod
from habitus.settings import CollectorSettings
from habitus.targets import Targets
from habitus_collector import attribution, naming
from habitus_collector.addresses import Addresses
from habitus_collector.attribution import Attribution
from habitus_collector.discovery import Identity
from habitus_collector.watch import Watch

ID = "a1" * 32
OF_WEB = ((10, "docker"), (11, ID))
POD = Pod(name="web-0", namespace="shop")
WEB = Identity(Container(id=ID, name="web", image="webapp:v1", pod=POD), ips=("10.0.0.7",))
LESS = Identity(Container(id=ID, name="web", image="webapp:v1"), partial=True)


class Source:
    """A runtime; a test says what it knows and what it tells."""

    def __init__(self, *, last_resort=False, there=True):
        self.name, self.last_resort, self.there = "cri", last_resort, there
        self.known, self.tell = None, None

    def present(self):
        return self.there

    async def find(self, _container_id):
        return self.known

    async def follow(self, tell):
        self.tell = tell
        await asyncio.Event().wait()

    async def close(self):
        pass


@pytest.fixture
def sources():
    return {"cri": Source(), "bundle": Source(last_resort=True, there=False)}


@pytest.fixture
async def made(sources, maps, monkeypatch):
    """Attribution with its watch, on these sources; it is closed at the end."""
    monkeypatch.setattr(attribution.plugins, "load", lambda _, name: lambda _: sources[name])
    monkeypatch.setattr(naming, "_PAUSES_S", (0.001, 0.001))
    monkeypatch.setattr(naming, "_LATER_S", 0.01)
    addresses, late = Addresses(), []
    settings = CollectorSettings(discovery=list(sources))
    made = Attribution(settings, addresses, late.append)
    made.watch = Watch(maps, [].append, made)
    following = asyncio.create_task(made.follow())
    await asyncio.sleep(0)
    yield made, addresses
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await made.close()


async def named(made, image):
    for _ in range(500):
        identity = made.watch.identity_of(ID)
        if identity and identity.container.image == image:
            return identity
        await asyncio.sleep(0.01)
    return pytest.fail(f"not named {image}")


async def test_a_container_gets_its_name_and_its_address_an_owner(made, sources):
    made, addresses = made
    sources["cri"].known = WEB
    made.watch.announce(11, OF_WEB)

    assert await named(made, "webapp:v1") == WEB
    assert addresses.peer_of("10.0.0.7") == Peer(container="web", image="webapp:v1", pod=POD)

    for _ in range(2):
        made.watch.compare([()])
    assert addresses.peer_of("10.0.0.7") is None


async def test_one_that_no_target_set_chooses_is_a_peer_all_the_same(made, sources, maps):
    made, addresses = made
    made.watch.select(Targets([{"namespace": "other"}]))
    sources["cri"].known = WEB
    made.watch.announce(11, OF_WEB)

    await named(made, "webapp:v1")

    assert maps.ignored == {11}
    assert addresses.peer_of("10.0.0.7").container == "web"


async def test_what_a_runtime_tells_later_replaces_what_it_said_first(made, sources):
    made, addresses = made
    sources["cri"].known = Identity(WEB.container)
    made.watch.announce(11, OF_WEB)
    await named(made, "webapp:v1")
    assert addresses.peer_of("10.0.0.7") is None

    sources["cri"].tell(WEB)

    assert made.watch.identity_of(ID) == WEB
    assert addresses.peer_of("10.0.0.7").container == "web"


async def test_what_nobody_names_is_unresolved_until_somebody_does(made, sources, caplog):
    made, _ = made
    with caplog.at_level(logging.INFO):
        made.watch.announce(11, OF_WEB)
        await named(made, f"unresolved:{ID[:12]}")
        sources["cri"].known = WEB
        await named(made, "webapp:v1")

    assert [record.getMessage() for record in caplog.records] == [
        f"watching unresolved:{ID[:12]} {ID[:12]}",
        f"watching webapp:v1 {ID[:12]} of Pod web-0",
    ]


async def test_a_last_resort_holds_only_until_the_runtime_answers(made, sources):
    made, _ = made
    sources["bundle"].there, sources["bundle"].known = True, LESS
    made.watch.announce(11, OF_WEB)
    assert await named(made, "webapp:v1") == LESS

    sources["cri"].known = WEB
    for _ in range(500):
        if made.watch.identity_of(ID) == WEB:
            break
        await asyncio.sleep(0.01)

    assert made.watch.identity_of(ID) == WEB


async def test_a_name_that_comes_after_the_end_leaves_nothing_behind(made, sources):
    made, addresses = made
    made.watch.announce(11, OF_WEB)
    await named(made, f"unresolved:{ID[:12]}")
    for _ in range(2):
        made.watch.compare([()])

    sources["cri"].known = WEB
    await asyncio.sleep(0.05)  # it is asked every 0.01 s

    assert made.watch.identity_of(ID) is None
    assert addresses.peer_of("10.0.0.7") is None


async def test_a_sandbox_is_dismissed(made, sources, maps):
    made, _ = made
    sources["cri"].known = Identity(Container(id=ID, name="POD"), sandbox=True)
    made.watch.announce(11, OF_WEB)
    for _ in range(500):
        if maps.ignored:
            break
        await asyncio.sleep(0.01)

    assert maps.ignored == {11}
    assert made.watch.containers == 0


async def test_a_container_that_has_only_a_name_is_asked_of_nobody(made, sources):
    made, _ = made
    made.watch.announce(11, ((11, "lxc.payload.web"),))
    await asyncio.sleep(0.01)

    identity = made.watch.identity_of("lxc:web")
    assert (identity.container.name, identity.container.image) == ("web", "lxc:web")

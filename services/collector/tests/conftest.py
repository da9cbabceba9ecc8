# SPDX-License-Identifier: Apache-2.0
"""Parts that several tests of the collector use."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from habitus.events import Container, Event, Process
from habitus_collector.cgroups import Place
from habitus_collector.discovery import Discovery, Identity
from habitus_collector.profile_numbers import Profiles
from habitus_collector.watch import Watch

CONTAINER_ID = "a1" * 32
POD_UID = "8a40e7c4-f30c-4509-b18b-2ac06b6d622a"


@dataclass
class MapsOfTheKernel:
    """Stands for the kernel's maps: remembers what it was told."""

    targets: dict[int, int] = field(default_factory=dict)
    ignored: set[int] = field(default_factory=set)
    forgotten: list[int] = field(default_factory=list)
    profiles: dict[int, int] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)

    def target(self, cgroup: int, root: int, profile: int = 0, epoch: int = 0) -> None:
        self.targets[cgroup] = root
        self.ignored.discard(cgroup)
        self.profiles[cgroup] = profile
        self.epochs[cgroup] = epoch

    def ignore(self, cgroup: int) -> None:
        self.profiles.pop(cgroup, None)
        self.ignored.add(cgroup)
        self.targets.pop(cgroup, None)

    def forget(self, cgroup: int) -> None:
        self.forgotten.append(cgroup)
        self.targets.pop(cgroup, None)


@pytest.fixture
def maps() -> MapsOfTheKernel:
    return MapsOfTheKernel()


@dataclass
class Heard:
    """Notes what the watch tells of containers."""

    arrivals: list[Place] = field(default_factory=list)
    late_ones: list[str] = field(default_factory=list)
    gone_ones: list[str] = field(default_factory=list)

    def arrived(self, place: Place) -> None:
        self.arrivals.append(place)

    def late(self, place: Place) -> None:
        self.late_ones.append(place.id)

    def gone(self, place: Place) -> None:
        self.gone_ones.append(place.id)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def published() -> list[Event]:
    return []


@pytest.fixture
def profiles() -> Profiles:
    return Profiles()


@pytest.fixture
def watch(maps: MapsOfTheKernel, published: list[Event], heard: Heard, profiles: Profiles) -> Watch:
    return Watch(maps, published.append, heard, profiles=profiles)


@pytest.fixture
def followed() -> Callable[[Discovery, int], Awaitable[list[Identity]]]:
    """Return what a source tells by itself until it has told so much."""

    async def followed(source: Discovery, count: int) -> list[Identity]:
        told: list[Identity] = []
        enough = asyncio.Event()

        def tell(identity: Identity) -> None:
            told.append(identity)
            if len(told) == count:
                enough.set()

        task = asyncio.create_task(source.follow(tell))
        await asyncio.wait_for(enough.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return told

    return followed


@pytest.fixture
def event_number() -> Callable[[int], Event]:
    def made(number: int) -> Event:
        return Event(
            ts=number, class_="process", op="exec", container=Container(), process=Process(pid=number)
        )

    return made

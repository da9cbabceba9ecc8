# SPDX-License-Identifier: Apache-2.0
"""Parts that several tests of the collector use."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from habitus.events import Container, Event, Process

CONTAINER_ID = "a1" * 32
POD_UID = "8a40e7c4-f30c-4509-b18b-2ac06b6d622a"


@dataclass
class MapsOfTheKernel:
    """Stands for the kernel's maps: remembers what it was told."""

    targets: dict[int, int] = field(default_factory=dict)
    ignored: set[int] = field(default_factory=set)
    forgotten: list[int] = field(default_factory=list)
    profiles: dict[int, int] = field(default_factory=dict)

    def target(self, cgroup: int, root: int, profile: int = 0) -> None:
        self.targets[cgroup] = root
        self.ignored.discard(cgroup)
        self.profiles[cgroup] = profile

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


@pytest.fixture
def event_number() -> Callable[[int], Event]:
    def made(number: int) -> Event:
        return Event(
            ts=number, class_="process", op="exec", container=Container(), process=Process(pid=number)
        )

    return made

# SPDX-License-Identifier: Apache-2.0
"""Loaders: plugins of the group `habitus.loaders` that bring events, from a kernel or from a file."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from habitus.events import Event
from habitus.targets import Targets
from habitus_collector.losses import LossOf
from habitus_collector.verdicts import VerdictCache

GROUP = "habitus.loaders"


class Outlet(Protocol):
    """Where a loader puts its events."""

    def add(self, event: Event) -> None:
        """Take one event; never blocks."""
        ...

    async def room(self) -> None:
        """Wait until there is room: for loaders whose source can wait."""
        ...


@dataclass(frozen=True)
class LoaderStatus:
    """What a loader says of itself for the node's status.

    `images` are the keys of those watched now; `ring` is the share of the kernel's buffer in use.
    `lost_of` is the part of `lost` of which it is known whose it was: by cgroup.
    """

    hooks: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    containers: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    lost_of: Mapping[int, LossOf] = field(default_factory=dict)
    known: Mapping[str, int] = field(default_factory=dict)
    images: Collection[str] = ()
    ring: float = 0.0


class Loader(Protocol):
    """One source of events. Made from `CollectorSettings`."""

    name: str
    verdicts: VerdictCache | None
    """Once started: the cache that keeps known events in the kernel, where there is one."""

    async def run(self, outlet: Outlet, started: asyncio.Event, stop: asyncio.Event) -> None:
        """Bring events until `stop`, or until there are no more. Sets `started` once it watches.

        Raises:
            ServiceFault: this machine or these settings do not allow it; one line.
        """
        ...

    def select(self, targets: Targets) -> None:
        """Put a target set in force, before `run` or while it runs."""
        ...

    def status(self) -> LoaderStatus:
        """Return counts since the start."""
        ...

    def close(self) -> None:
        """Let go of the source once `run` is over; safe to call at any time.

        A kernel may take longer for it than a service has to stop: what was seen is on its way before.
        """
        ...

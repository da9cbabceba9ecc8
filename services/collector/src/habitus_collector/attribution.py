# SPDX-License-Identifier: Apache-2.0
"""Whose is it? Names the containers that the watch meets, and says which addresses they have."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from habitus import plugins
from habitus.events import Peer
from habitus.settings import CollectorSettings
from habitus_collector.addresses import Addresses
from habitus_collector.cgroups import Place
from habitus_collector.discovery import GROUP, Identity
from habitus_collector.naming import Naming
from habitus_collector.watch import Watch, unresolved

log = logging.getLogger(__name__)


class Attribution:
    """The discovery sources on one side, the watch on the other; `watch` is set before the first use.

    `late` is called for a container whose events count from the middle of its life on.
    """

    watch: Watch

    def __init__(
        self, settings: CollectorSettings, addresses: Addresses, late: Callable[[Place], None]
    ) -> None:
        sources = [plugins.load(GROUP, name)(settings) for name in settings.discovery]
        self._naming = Naming(sources, self._told)
        self._addresses = addresses
        self._late = late
        self._places: dict[str, Place] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def answered(self) -> set[str]:
        """Names of the sources that answer."""
        return self._naming.answered

    async def follow(self) -> None:
        """Listen to what the runtimes tell, for ever."""
        await self._naming.follow()

    def arrived(self, place: Place) -> None:
        """Begin to ask for the container's name."""
        self._places[place.id] = place
        self._spawn(self._name(place))

    def late(self, place: Place) -> None:
        """Pass it on."""
        self._late(place)

    def gone(self, place: Place) -> None:
        """Forget what is known of the container."""
        self._places.pop(place.id, None)
        self._addresses.forget(place.id)

    async def close(self) -> None:
        """End the questions that are open, and let go of the runtimes."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._naming.close()

    async def _name(self, place: Place) -> None:
        if place.name:  # no runtime that could be asked knows it
            self._apply(place, Identity(unresolved(place)))
            return
        identity = await self._naming.soon(place.id)
        self._apply(place, identity or Identity(unresolved(place)))
        if identity is None or (identity.partial and self._naming.runtimes):
            identity = await self._naming.later(place.id)
            if identity:
                self._apply(place, identity)

    def _told(self, identity: Identity) -> None:
        """Take in what a runtime says by itself: its first word of a container may not be the last."""
        place = self._places.get(identity.container.id or "")
        if place and self.watch.identity_of(place.id) not in (None, identity):
            self._apply(place, identity)

    def _apply(self, place: Place, identity: Identity) -> None:
        if place.id not in self._places or self.watch.identity_of(place.id) == identity:
            return  # gone meanwhile, or nothing new
        if identity.sandbox:
            self.watch.dismiss(place.id)
            self.gone(place)
            return
        container = identity.container
        # Those that no target set chooses are peers of those that one does.
        peer = Peer(container=container.name, image=container.image, pod=container.pod)
        self._addresses.set(place.id, peer, list(identity.ips))
        pod = container.pod.name if container.pod else None
        watched = self.watch.name(place.id, identity)
        log.log(
            logging.INFO if watched else logging.DEBUG,
            "%s %s %s%s",
            "watching" if watched else "not watching",
            container.image,
            place.id[:12],
            f" of Pod {pod}" if pod else "",
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

# SPDX-License-Identifier: Apache-2.0
"""Finds a container's name: asks the runtimes until one knows it, and listens to what they tell."""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from habitus_collector.discovery import Discovery, DiscoveryFault, Identity
from habitus_collector.discovery.following import keep

log = logging.getLogger(__name__)

# A runtime may register a container only after its first exec: ask at once, then ever more rarely.
_PAUSES_S: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.33)
_LATER_S: Final = 5.0
_LATER_TIMES: Final = 24
REMEMBERED: Final = 512
"""Containers that runtimes told of, kept by id, also when they are gone by the time they are asked for."""


class Naming:
    """All discovery sources as one. `told` gets what a runtime says of a container by itself."""

    def __init__(
        self, sources: Sequence[Discovery], told: Callable[[Identity], None] = lambda _: None
    ) -> None:
        self._sources = sources
        self._told = told
        self._remembered: OrderedDict[str, Identity] = OrderedDict()
        self._awaited: dict[str, asyncio.Event] = {}
        self._faults: dict[str, str] = {}
        self.answered: set[str] = set()

    async def follow(self) -> None:
        """Listen to every runtime for ever."""
        await asyncio.gather(*(self._follow(source) for source in self._sources))

    async def soon(self, container_id: str) -> Identity | None:
        """Ask for about a second; return None when nobody knows the container by then."""
        told = self._awaited.setdefault(container_id, asyncio.Event())
        try:
            identity, spare = await self._ask(container_id)
            for pause in _PAUSES_S:
                if identity or not self.runtimes:
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), pause)
                identity, other = await self._ask(container_id)
                spare = spare or other
        finally:
            self._awaited.pop(container_id, None)
        return identity or spare

    async def later(self, container_id: str) -> Identity | None:
        """Go on asking for two minutes: a runtime may be restarting."""
        for _ in range(_LATER_TIMES):
            await asyncio.sleep(_LATER_S)
            identity, spare = await self._ask(container_id)
            if identity or (spare and not self.runtimes):
                return identity or spare
        return None

    @property
    def runtimes(self) -> bool:
        """Whether there is a socket of any runtime that may answer, now or later."""
        return bool(self._present(last=False))

    async def close(self) -> None:
        """Let go of every connection."""
        for source in self._sources:
            await source.close()

    def _present(self, *, last: bool) -> list[Discovery]:
        return [source for source in self._sources if source.present() and _is_last(source) == last]

    async def _ask(self, container_id: str) -> tuple[Identity | None, Identity | None]:
        """Return what a runtime says, and what a last resort says: it is less, and used if need be."""
        remembered = self._remembered.get(container_id)
        if remembered:
            return remembered, None
        identity = await self._first(container_id, last=False)
        return identity, None if identity else await self._first(container_id, last=True)

    async def _first(self, container_id: str, *, last: bool) -> Identity | None:
        asked = (self._one(source, container_id) for source in self._present(last=last))
        return next((answer for answer in await asyncio.gather(*asked) if answer), None)

    async def _one(self, source: Discovery, container_id: str) -> Identity | None:
        try:
            identity = await source.find(container_id)
        except DiscoveryFault as fault:
            self.answered.discard(source.name)
            self._say(source.name, fault)
            return None
        if identity or not _is_last(source):
            self.answered.add(source.name)
        self._faults.pop(source.name, None)
        return identity

    async def _follow(self, source: Discovery) -> None:
        stream = f"events of {source.name}"

        def tell(identity: Identity) -> None:
            self._faults.pop(stream, None)
            self.answered.add(source.name)
            self._remember(identity)

        await keep(source.present, lambda: source.follow(tell), lambda fault: self._say(stream, fault))

    def _remember(self, identity: Identity) -> None:
        container_id = identity.container.id or ""
        self._remembered[container_id] = identity
        self._remembered.move_to_end(container_id)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        if container_id in self._awaited:
            self._awaited[container_id].set()
        self._told(identity)

    def _say(self, who: str, fault: DiscoveryFault) -> None:
        if self._faults.get(who) != str(fault):  # once: it is asked often
            self._faults[who] = str(fault)
            log.warning("%s", fault)


def _is_last(source: Discovery) -> bool:
    return getattr(source, "last_resort", False)

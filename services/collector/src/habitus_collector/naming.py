# SPDX-License-Identifier: Apache-2.0
"""Asks the runtimes for a container's name until one knows it."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from habitus_collector.discovery import Discovery, DiscoveryFault, Identity

log = logging.getLogger(__name__)

# A runtime may register a container only after its first exec: ask at once, then ever more rarely.
_PAUSES_S: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.33)
_LATER_S: Final = 5.0
_LATER_TIMES: Final = 24


class Naming:
    """All discovery sources as one."""

    def __init__(self, sources: Sequence[Discovery]) -> None:
        self._sources = sources
        self._faults: dict[str, str] = {}
        self.answered: set[str] = set()

    async def soon(self, container_id: str) -> Identity | None:
        """Ask for about a second; return None when nobody knows the container by then."""
        identity = await self._ask(container_id)
        for pause in _PAUSES_S:
            if identity or not self._present():
                break
            await asyncio.sleep(pause)
            identity = await self._ask(container_id)
        return identity

    async def later(self, container_id: str) -> Identity | None:
        """Go on asking for two minutes: a runtime may be restarting."""
        for _ in range(_LATER_TIMES):
            await asyncio.sleep(_LATER_S)
            identity = await self._ask(container_id)
            if identity:
                return identity
        return None

    async def close(self) -> None:
        """Let go of every connection."""
        for source in self._sources:
            await source.close()

    def _present(self) -> list[Discovery]:
        return [source for source in self._sources if source.present()]

    async def _ask(self, container_id: str) -> Identity | None:
        answers = await asyncio.gather(*(self._one(source, container_id) for source in self._present()))
        return next((answer for answer in answers if answer), None)

    async def _one(self, source: Discovery, container_id: str) -> Identity | None:
        try:
            identity = await source.find(container_id)
        except DiscoveryFault as fault:
            self.answered.discard(source.name)
            if self._faults.get(source.name) != str(fault):
                self._faults[source.name] = str(fault)
                log.warning("%s", fault)
            return None
        self.answered.add(source.name)
        self._faults.pop(source.name, None)
        return identity

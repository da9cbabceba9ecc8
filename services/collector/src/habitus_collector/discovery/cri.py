# SPDX-License-Identifier: Apache-2.0
"""Names containers through the Container Runtime Interface v1: containerd, CRI-O."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from habitus.settings import CollectorSettings
from habitus_collector.discovery import DiscoveryFault, Identity, Tell
from habitus_collector.discovery.following import keep

if TYPE_CHECKING:
    from habitus_collector.discovery.cri_runtime import CriRuntime

log = logging.getLogger(__name__)


class CriDiscovery:
    """Asks each CRI socket that is there, in the order of the settings."""

    name = "cri"

    def __init__(self, settings: CollectorSettings) -> None:
        self._sockets = settings.cri_sockets
        self._events = settings.cri_events
        self._runtimes: dict[str, CriRuntime] = {}

    def present(self) -> bool:
        """Say whether any of the sockets is there."""
        return bool(self._there())

    async def find(self, container_id: str) -> Identity | None:
        """Return the container or sandbox, or None when no runtime knows the id yet."""
        fault = None
        for socket in self._there():
            try:
                found = await self._runtime(socket).find(container_id)
            except DiscoveryFault as error:
                fault = error
                await self._runtimes.pop(socket).close()  # a new connection waits for no back-off
                continue
            if found:
                return found
        if fault:
            raise fault
        return None

    async def follow(self, tell: Tell) -> None:
        """Follow every socket of the settings for ever, each by itself: one may be dead.

        containerd 1.x has one queue of events for all who listen, and each event goes to one of them:
        a kubelet with EventedPLEG would miss what goes to us, so there is a setting against it.
        """
        if not self._events:
            return
        await asyncio.gather(*(self._follow(socket, tell) for socket in self._sockets))

    async def close(self) -> None:
        """Close every connection."""
        while self._runtimes:
            await self._runtimes.popitem()[1].close()

    async def _follow(self, socket: str, tell: Tell) -> None:
        said = ""

        def say(fault: DiscoveryFault) -> None:
            nonlocal said
            if str(fault) != said:
                said = str(fault)
                log.warning("%s", fault)

        def told(identity: Identity) -> None:
            nonlocal said
            said = ""
            tell(identity)

        await keep(Path(socket).is_socket, lambda: self._stream(socket, told), say)

    async def _stream(self, socket: str, tell: Tell) -> None:
        from habitus_collector.discovery.cri_runtime import CriRuntime  # noqa: PLC0415  # as in _runtime

        runtime = CriRuntime(socket)  # a connection of its own: `find` closes those that failed
        try:
            await runtime.follow(tell)
        finally:
            await runtime.close()

    def _there(self) -> list[str]:
        return [socket for socket in self._sockets if Path(socket).is_socket()]

    def _runtime(self, socket: str) -> "CriRuntime":
        # gRPC takes 13 MB: a node without CRI does not pay for it.
        from habitus_collector.discovery.cri_runtime import CriRuntime  # noqa: PLC0415

        if socket not in self._runtimes:
            self._runtimes[socket] = CriRuntime(socket)
        return self._runtimes[socket]

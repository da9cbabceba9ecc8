# SPDX-License-Identifier: Apache-2.0
"""Names containers through the Docker API, which Podman speaks as well."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from habitus.settings import CollectorSettings
from habitus_collector.discovery import DiscoveryFault, Identity

if TYPE_CHECKING:
    from habitus_collector.discovery.docker_runtime import DockerRuntime


class DockerDiscovery:
    """Asks one socket, in a thread: the SDK blocks."""

    name = "docker"

    def __init__(self, settings: CollectorSettings) -> None:
        self._socket = self._choose(settings)
        self._runtime: DockerRuntime | None = None
        if self.present():
            # Reading the SDK in takes longer than a container may live: the first one would go unnamed.
            _sdk()

    @staticmethod
    def _choose(settings: CollectorSettings) -> Path:
        return settings.docker_socket

    def present(self) -> bool:
        """Say whether the socket is there."""
        return self._socket.is_socket()

    async def find(self, container_id: str) -> Identity | None:
        """Return the container, or None when it is not of this runtime."""
        try:
            return await asyncio.to_thread(self._find, container_id)
        except DiscoveryFault as fault:
            await self.close()
            raise DiscoveryFault(f"{self.name} at {self._socket}: {fault}") from None

    async def close(self) -> None:
        """Close the connection."""
        runtime, self._runtime = self._runtime, None
        if runtime:
            runtime.close()

    def _find(self, container_id: str) -> Identity | None:
        if self._runtime is None:
            self._runtime = _sdk()(self._socket)
        return self._runtime.find(container_id)


class PodmanDiscovery(DockerDiscovery):
    """The same API at Podman's socket."""

    name = "podman"

    @staticmethod
    def _choose(settings: CollectorSettings) -> Path:
        return settings.podman_socket


def _sdk() -> "type[DockerRuntime]":
    # The SDK takes 7 MB or more: a node without Docker does not pay for it.
    from habitus_collector.discovery.docker_runtime import DockerRuntime  # noqa: PLC0415

    return DockerRuntime

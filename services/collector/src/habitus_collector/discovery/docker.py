# SPDX-License-Identifier: Apache-2.0
"""Names containers through the Docker API, which Podman speaks as well."""

from pathlib import Path

from habitus.settings import CollectorSettings
from habitus_collector.discovery import DiscoveryFault, Identity, Tell
from habitus_collector.discovery.docker_runtime import DockerRuntime


class DockerDiscovery:
    """Asks one socket."""

    name = "docker"

    def __init__(self, settings: CollectorSettings) -> None:
        self._socket = self._choose(settings)
        self._runtime = DockerRuntime(self._socket)

    @staticmethod
    def _choose(settings: CollectorSettings) -> Path:
        return settings.docker_socket

    def present(self) -> bool:
        """Say whether the socket is there."""
        return self._socket.is_socket()

    async def find(self, container_id: str) -> Identity | None:
        """Return the container, or None when it is not of this runtime."""
        try:
            return await self._runtime.find(container_id)
        except DiscoveryFault as fault:
            raise self._named(fault) from None

    async def follow(self, tell: Tell) -> None:
        """Tell of each container when it is made and when it starts."""
        try:
            await self._runtime.follow(tell)
        except DiscoveryFault as fault:
            raise self._named(fault) from None

    async def close(self) -> None:
        """Every request had a connection of its own."""

    def _named(self, fault: DiscoveryFault) -> DiscoveryFault:
        return DiscoveryFault(f"{self.name} at {self._socket}: {fault}")


class PodmanDiscovery(DockerDiscovery):
    """The same API at Podman's socket."""

    name = "podman"

    @staticmethod
    def _choose(settings: CollectorSettings) -> Path:
        return settings.podman_socket

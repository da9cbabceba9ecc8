# SPDX-License-Identifier: Apache-2.0
"""Container discovery: plugins of the group `habitus.discovery` that name a container by its id."""

from typing import NamedTuple, Protocol

from habitus.events import Container

GROUP = "habitus.discovery"


class DiscoveryFault(RuntimeError):
    """A runtime that does not answer as it should; the text names it in one line."""


class Identity(NamedTuple):
    """A container as its runtime names it. A sandbox (`pause`) runs nothing of an image."""

    container: Container
    sandbox: bool = False


class Discovery(Protocol):
    """One kind of runtime. Made from `CollectorSettings`; opens nothing before it is asked."""

    name: str

    def present(self) -> bool:
        """Say whether a socket of this runtime is there."""
        ...

    async def find(self, container_id: str) -> Identity | None:
        """Return the container with this id, or None when this runtime does not know it (yet).

        Raises:
            DiscoveryFault: the runtime does not answer.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...

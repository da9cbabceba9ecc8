# SPDX-License-Identifier: Apache-2.0
"""Container discovery: plugins of the group `habitus.discovery` that name a container by its id."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from habitus.events import Container

GROUP = "habitus.discovery"


class DiscoveryFault(RuntimeError):
    """A runtime that does not answer as it should; the text names it in one line."""


@dataclass(frozen=True)
class Identity:
    """A container as its runtime names it.

    Attributes:
        sandbox: it is a Pod's own (`pause`), which runs nothing of an image.
        labels: the container's and its Pod's, bounded (`references.labels_of`).
        ips: addresses that are its own or its Pod's; none of a container in the host's network.
        partial: a runtime that answers again would know more, such as the image's digest.
    """

    container: Container
    sandbox: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    ips: tuple[str, ...] = ()
    partial: bool = False


Tell = Callable[[Identity], None]
"""Takes in a container that a runtime speaks of by itself; called again when it learned more of it."""


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

    async def follow(self, tell: Tell) -> None:
        """Tell of containers as they come, so that one that is gone when it is asked for has a name.

        Returns when this runtime has no stream of events, or ended it.

        Raises:
            DiscoveryFault: the runtime does not answer, or the stream broke.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...

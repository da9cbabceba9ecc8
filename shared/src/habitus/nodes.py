# SPDX-License-Identifier: Apache-2.0
"""What a collector says of its node (bucket NODES): what it watches, how, and what it lost."""

from pydantic import BaseModel


class NodeStatus(BaseModel):
    """One node's collector, written every few seconds.

    Attributes:
        sources: discovery sources that answered (`cri`, `docker`, `podman`).
        containers: containers watched now.
        events, lost: since the collector's start, by class.
        known: events of containers that never left the kernel, being known; by class, since the start.
        cached_images: images whose known events stay in the kernel now.
        queued: events in the collector's memory on their way to the broker.
        spooled: bytes on disk that wait for the broker.
        waiting_s: age of the oldest event that the broker has not taken yet.
        ring: share of the kernel's ring buffer in use, 0 … 1.
        updated: nanoseconds since the epoch.
    """

    node: str
    loader: str
    kernel: str = ""
    hooks: list[str] = []
    sources: list[str] = []
    containers: int = 0
    events: dict[str, int] = {}
    lost: dict[str, int] = {}
    known: dict[str, int] = {}
    cached_images: int = 0
    queued: int = 0
    spooled: int = 0
    waiting_s: float = 0
    ring: float = 0
    updated: int = 0

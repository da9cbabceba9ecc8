# SPDX-License-Identifier: Apache-2.0
"""What a loader that watches a kernel needs of it, however it gets it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from habitus_collector.libbpf import Map
from habitus_collector.ring_buffer import RingBuffer


class KernelSide(Protocol):
    """Programs that are attached, and the maps by which they sort events."""

    @property
    def hooks(self) -> list[str]:
        """Names of the attached programs."""

    @property
    def rings(self) -> Sequence[RingBuffer]:
        """Ring buffers to wait for; empty where records come another way."""

    def drain(self) -> bool:
        """Hand over the records that wait; say whether there are more."""

    def target(self, cgroup: int, root: int, profile: int = 0, epoch: int = 0) -> None:
        """Send the events of `cgroup`, part of the container whose own cgroup is `root`."""

    def ignore(self, cgroup: int) -> None:
        """Send no event of `cgroup`."""

    def forget(self, cgroup: int) -> None:
        """Treat `cgroup` as never seen."""

    def forget_profiles(self, numbers: Sequence[int]) -> None:
        """Make these numbers free for other profiles."""

    def revise(self, profile: int, revision: int) -> None:
        """Put a revision of a profile in force; 0: nothing of it is known."""

    def know(self, token: bytes, revision: int) -> None:
        """Hold back events of this token while `revision` is in force."""

    def passed(self) -> dict[str, int]:
        """Return how many events of each class were held back as known."""

    def losses(self) -> dict[str, int]:
        """Return how many events of each class were lost."""

    def losses_of(self) -> Mapping[int, Mapping[str, int]]:
        """Return, by cgroup, those of the losses that can be laid to one; to be asked after `losses`."""

    def ring_use(self) -> float:
        """Return the share of the fullest buffer in use, 0 … 1."""

    def list_running(self) -> None:
        """Have each process of a watched container that nobody told of yet told once, as running."""

    def map(self, name: str) -> Map | None:
        """Return a map by its name, or None."""

    def close(self) -> None:
        """Detach and unload; safe to call twice."""

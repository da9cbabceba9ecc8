# SPDX-License-Identifier: Apache-2.0
"""What was lost, since when, and whose it was: the notices by which profilers learn of it."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from habitus import wire

_FORGET_NS: Final = 60 * 10**9
_NOTHING: Final[Mapping[str, int]] = {}


class LossOf(NamedTuple):
    """What was lost of one cgroup since the start, by class; `image` is None while nobody names it."""

    image: str | None
    counts: Mapping[str, int]


_NO_PARTS: Final[Mapping[int, LossOf]] = {}


@dataclass
class _Lost:
    count: int
    since: int
    until: int

    def add(self, count: int, since: int, until: int) -> None:
        self.count += count
        self.since, self.until = min(self.since, since), max(self.until, until)


class Losses:
    """Gathers losses between two notices.

    What is known to be of one container concerns its image. What cannot be laid to one concerns each that
    is watched: any of them may be the one.

    Attributes:
        total: what user space lost since the start, by class.
    """

    def __init__(self, node: str, clock: Callable[[], int] = time.time_ns) -> None:
        self._node = node
        self._clock = clock
        self._looked = clock()
        self._kernel: Mapping[str, int] = {}
        self._parts: Mapping[int, LossOf] = {}
        self._open: Counter[str] = Counter()
        self._images: frozenset[str] = frozenset()
        self._gathered: dict[tuple[str | None, str], _Lost] = {}
        self.total: Counter[str] = Counter()

    def count(self, image: str | None, class_: str, count: int) -> None:
        """Count events that user space lost now; `image` is the key of the profile that they belong to."""
        self.total[class_] += count
        now = self._clock()
        self._gather(image, class_, count, now, now)

    def away(self, since: int) -> None:
        """Note that no collector of this node ran from `since` (nanoseconds since the epoch) until now."""
        now = self._clock()
        if since < now:
            self._gather(None, wire.AWAY, 1, since, now)

    def again(self, loss: wire.Loss) -> None:
        """Take back a notice that had no room itself."""
        self._gather(loss.image, loss.class_, loss.count, loss.since, loss.until)

    def notices(
        self,
        seen: Mapping[str, int],
        images: Collection[str],
        parts: Mapping[int, LossOf] = _NO_PARTS,
    ) -> list[wire.Loss]:
        """Return what was lost since the last call, a notice for each image and class.

        `seen` is what others lost since the start, by class; `images` are those watched now. `parts`, read
        after `seen`, is how much of it is known to be of one cgroup.
        """
        now = self._clock()
        for class_, new in _grown(seen, self._kernel):
            self._open[class_] += new
        for cgroup, (image, counts) in parts.items():
            # By cgroup alone: one that gets its name now was told before, to all.
            before = self._parts[cgroup].counts if cgroup in self._parts else _NOTHING
            for class_, new in _grown(counts, before):
                self._open[class_] -= new  # below 0 where a part is ahead of the sum, until the next look
                self._gather(image, class_, new, self._looked, now)
        for class_ in [class_ for class_, count in self._open.items() if count > 0]:
            self._gather(None, class_, self._open.pop(class_), self._looked, now)
        self._parts = parts
        watched = self._images.union(images)  # also of those that ended meanwhile
        self._kernel, self._looked, self._images = dict(seen), now, frozenset(images)
        gathered, self._gathered = self._gathered, {}
        notices: list[wire.Loss] = []
        for (image, class_), lost in gathered.items():
            concerned = sorted(watched) if image is None else [image]
            notices += [self._notice(key, class_, lost) for key in concerned]
            if not concerned and now - lost.until < _FORGET_NS:
                self._gathered[image, class_] = lost  # a container may be named in a moment
        return notices

    def _notice(self, image: str, class_: str, lost: _Lost) -> wire.Loss:
        return wire.Loss(
            id="",
            node=self._node,
            image=image,
            class_=class_,
            count=lost.count,
            since=lost.since,
            until=lost.until,
        )

    def _gather(self, image: str | None, class_: str, count: int, since: int, until: int) -> None:
        lost = self._gathered.get((image, class_))
        if lost is None:
            self._gathered[image, class_] = _Lost(count, since, until)
        else:
            lost.add(count, since, until)


def _grown(now: Mapping[str, int], before: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return (class, by how much) for each count that has grown."""
    grown = [(class_, count - before.get(class_, 0)) for class_, count in now.items()]
    return [(class_, new) for class_, new in grown if new > 0]

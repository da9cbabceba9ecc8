# SPDX-License-Identifier: Apache-2.0
"""Numbers by which the kernel knows the profiles of images: the verdict cache of `bpf/lib/known.h`."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from habitus_collector.kernel import PROFILES_LIMIT

log = logging.getLogger(__name__)

NONE: Final = 0
"""No number: events of such an image are never taken as known, and cross to user space."""


class Profiles:
    """Image key (`habitus.images.image_key`) ↔ number, 1 … `limit`.

    What is known is kept under hashes of the number, and revisions of two profiles are alike: a number
    that passed to another image could make its events known by the first one's verdicts. So an image
    keeps its number for the whole run. Only when all are used, those of images without a container are
    taken back, and only through `forget`.
    """

    def __init__(
        self, forget: Callable[[Sequence[int]], None] | None = None, limit: int = PROFILES_LIMIT
    ) -> None:
        """`forget` sets the revisions of these numbers to 0 and empties what is known; None: no reuse."""
        self._forget = forget
        self._limit = limit
        self._numbers: dict[str, int] = {}
        self._images: dict[int, str] = {}
        self._free: list[int] = []
        self._released: set[str] = set()
        self._said = False

    def number_of(self, image_key: str) -> int:
        """Return the image's number, giving it one; 0 when all are used by images that still run."""
        self._released.discard(image_key)
        number = self._numbers.get(image_key)
        if number is None:
            number = self._take()
            if number != NONE:
                self._numbers[image_key] = number
                self._images[number] = image_key
        return number

    def find(self, image_key: str) -> int:
        """Return the image's number, or 0 when it has none; gives none."""
        return self._numbers.get(image_key, NONE)

    def image_of(self, number: int) -> str | None:
        """Return the image key that has this number, or None."""
        return self._images.get(number)

    def release(self, image_key: str) -> None:
        """Say that no container of this image remains; it keeps its number while there are others."""
        if image_key in self._numbers:
            self._released.add(image_key)

    def _take(self) -> int:
        if not self._free and len(self._images) >= self._limit:
            self._reclaim()
        if self._free:
            return self._free.pop()
        if len(self._images) < self._limit:
            return len(self._images) + 1
        if not self._said:  # said once: it would be said for every container
            self._said = True
            log.warning(
                "all %d numbers of profiles are used: no event of further images is held back", self._limit
            )
        return NONE

    def _reclaim(self) -> None:
        if self._forget is None or not self._released:
            return
        numbers = sorted((self._numbers.pop(key) for key in self._released), reverse=True)
        self._released.clear()
        for number in numbers:
            del self._images[number]
        self._forget(numbers)
        self._free += numbers

# SPDX-License-Identifier: Apache-2.0
"""Fills the kernel's verdict cache from what the profilers say. Soft state: may be lost, never wrong.

A revision of a profiler is never given to the kernel as it is: each time that one comes into force, a
generation of our own does, and no generation comes twice in a run. So what was known before says
nothing after a gap, a restart of the profiler or a number that passed to another image.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol, TypeVar

import nats.errors
from nats.aio.msg import Msg

from habitus import subjects, wire
from habitus.bus import Bus
from habitus_collector.libbpf import LibbpfFault

log = logging.getLogger(__name__)

M = TypeVar("M", bound=wire.Message)

_AT_ONCE: Final = 256
_LOOK_S: Final = 0.5
_LONGEST_LEASE_S: Final = 60.0
_NOTHING: Final = 0


class Maps(Protocol):
    """The kernel's side of the cache."""

    def revise(self, profile: int, revision: int) -> None:
        """Put a revision of a profile in force; 0: nothing of it is known."""

    def know(self, token: bytes, revision: int) -> None:
        """Hold back events of this token while `revision` is in force."""


@dataclass
class _Image:
    """An image whose known events stay in the kernel."""

    number: int
    revision: int
    generation: int
    ends: float


class VerdictCache:
    """Image key → the profiler's revision and the generation that stands for it in the kernel.

    `find` gives the number by which the kernel knows an image's profile, 0 for none.
    """

    def __init__(
        self, maps: Maps, find: Callable[[str], int], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._maps = maps
        self._find = find
        self._monotonic = monotonic
        self._images: dict[str, _Image] = {}
        self._generations = count(1)
        self._some = asyncio.Event()
        self._full = False

    @property
    def images(self) -> int:
        """Images whose known events stay in the kernel now."""
        return len(self._images)

    def revised(self, message: wire.Revisions) -> None:
        """Take in revisions, each for the lease that they come with."""
        lease = message.lease_s if math.isfinite(message.lease_s) else 0.0
        ends = self._monotonic() + min(max(lease, 0.0), _LONGEST_LEASE_S)
        for key, revision in message.images.items():
            if revision <= _NOTHING:
                self._drop(key)
            else:
                self._renew(key, revision, ends)
        if self._images:
            self._some.set()

    async def known(self, message: wire.Verdicts) -> None:
        """Take in verdicts of the revision in force; many of them yield to other work now and then."""
        image = self._images.get(message.image)
        if image is None or image.revision != message.revision:
            return
        generation = image.generation
        for first in range(0, len(message.tokens), _AT_ONCE):
            if first:
                await asyncio.sleep(0)
                # Anything may have come in between.
                image = self._images.get(message.image)
                if image is None or image.generation != generation:
                    return
            self._know(message.tokens[first : first + _AT_ONCE], generation)

    def expire(self) -> None:
        """Forget what was not repeated in time."""
        now = self._monotonic()
        for key in [key for key, image in self._images.items() if image.ends <= now]:
            self._drop(key)

    async def run(self) -> None:
        """Expire for ever; nothing wakes while nothing is known."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_LOOK_S)
            self.expire()
            if not self._images:
                self._some.clear()

    def close(self) -> None:
        """Say nothing to the kernel any more: its maps are going."""
        self._images.clear()
        self._find = _nowhere

    def _renew(self, key: str, revision: int, ends: float) -> None:
        number = self._find(key)
        if not number:
            self._images.pop(key, None)
            return
        image = self._images.get(key)
        if image is not None and image.number == number:
            if revision < image.revision:
                return  # late
            if revision == image.revision:
                image.ends = ends
                return
        generation = next(self._generations)
        self._images[key] = _Image(number, revision, generation, ends)
        self._maps.revise(number, generation)

    def _drop(self, key: str) -> None:
        image = self._images.pop(key, None)
        # A number that passed on is another image's now.
        if image is not None and self._find(key) == image.number:
            self._maps.revise(image.number, _NOTHING)

    def _know(self, tokens: list[bytes], generation: int) -> None:
        try:
            for token in tokens:
                self._maps.know(token, generation)
        except LibbpfFault as fault:
            if not self._full:  # said once: it would be said for every token
                self._full = True
                log.error("%s", fault)  # noqa: TRY400  # one line, no traceback


def _nowhere(key: str) -> int:
    del key
    return _NOTHING


class Listener:
    """Brings what the profilers say of one node to its cache."""

    def __init__(self, bus: Bus, node: str, cache: VerdictCache) -> None:
        self._bus = bus
        self._node = node
        self._cache = cache
        self._refused = False

    async def run(self) -> None:
        """Listen for ever; the client keeps subscriptions when the broker goes and comes back."""
        nc = self._bus.nc
        try:
            await nc.subscribe(subjects.REVISIONS, cb=self._on_revisions)
            await nc.subscribe(subjects.verdicts(self._node), cb=self._on_verdicts)
        except nats.errors.Error as error:
            log.warning("verdicts: %s; every event crosses to user space", error or type(error).__name__)
        await self._cache.run()

    async def _on_revisions(self, message: Msg) -> None:
        revisions = self._read(wire.Revisions, message)
        if revisions:
            self._cache.revised(revisions)

    async def _on_verdicts(self, message: Msg) -> None:
        verdicts = self._read(wire.Verdicts, message)
        if verdicts:
            await self._cache.known(verdicts)

    def _read(self, kind: type[M], message: Msg) -> M | None:
        try:
            return wire.decode(kind, message.data)
        except wire.WireFault as fault:
            if not self._refused:
                self._refused = True
                log.warning("%s: %s", message.subject, fault)
            return None

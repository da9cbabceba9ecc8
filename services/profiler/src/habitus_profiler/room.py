# SPDX-License-Identifier: Apache-2.0
"""Loads what was taken over, beside the work, and lets profiles without use rest where room is short."""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from habitus_profiler.partition import Partition
from habitus_profiler.roster import Roster
from habitus_profiler.store import STORE_FAULTS
from habitus_profiler.tenure import Fenced

log = logging.getLogger(__name__)

_IDLE_S: Final = 0.2
_PAUSE_S: Final = 0.5
_TOGETHER: Final = 32
_IN_USE_S: Final = 10.0
"""A profile that was used so lately stays, whatever the bound."""

Owned = Callable[[], Iterable[Partition]]


async def fill(owned: Owned, most: int) -> None:
    """Load every profile once, the busiest first, and keep within `most` bytes (0: any), until cancelled.

    One at a time: a flood of snapshots would hold the loop up until every pin is lost, and events and
    operators, who load for themselves, come in between.
    """
    loaded = 0
    while True:
        waiting = [(roster.waiting[key], key, roster) for roster, key in _first(owned())]
        if loaded >= (_TOGETHER if waiting else 1):
            # Millions of objects that hold no cycles: the collector would look through all of them again and
            # again, a second at a time. Frozen, they still go with their last reference.
            gc.freeze()
            loaded = 0
        if not waiting:
            relieve(owned(), most)
            await asyncio.sleep(_IDLE_S)
            continue
        _, key, roster = max(waiting, key=lambda one: one[0])
        try:
            await roster.load(key)
        except STORE_FAULTS as error:
            log.warning("loading profiles: %s; later again", error or type(error).__name__)
            await asyncio.sleep(_PAUSE_S)
        except Fenced:
            await asyncio.sleep(_PAUSE_S)  # its seat is about to give the partition up
        loaded += 1
        relieve(owned(), most)


def _first(owned: Iterable[Partition]) -> list[tuple[Roster, str]]:
    return [(each.roster, next(iter(each.roster.waiting))) for each in owned if each.roster.waiting]


def relieve(owned: Iterable[Partition], most: int, in_use_s: float = _IN_USE_S) -> None:
    """Let profiles rest, those first whose last use is longest ago, until all take at most `most` bytes."""
    partitions = list(owned) if most else []
    excess = sum(each.roster.bytes() for each in partitions) - most
    if excess <= 0 or not partitions:
        return
    now = time.monotonic()
    used = [
        (each.roster.used(key), profile.learning.progress.events, key, each)
        for each in partitions
        for key, profile in each.profiles.items()
    ]
    for last, _, key, partition in sorted(used, key=lambda one: one[:2]):
        if excess <= 0 or last > now - in_use_s:
            return
        if not partition.works_on(key):
            excess -= partition.roster.rest(key)

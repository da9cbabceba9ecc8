# SPDX-License-Identifier: Apache-2.0
"""Where batches wait that the broker did not take yet: on disk, or in memory where no disk is to be had."""

import logging
from collections import deque
from typing import Final, Protocol

from habitus.publish import Batch
from habitus.settings import CollectorSettings
from habitus_collector.spool import Spool, SpoolFault, default_folder

log = logging.getLogger(__name__)

_MEBIBYTE: Final = 1 << 20


class Backlog(Protocol):
    """Batches in the order in which they came."""

    @property
    def on_disk(self) -> bool:
        """Whether what waits takes no memory."""
        ...

    @property
    def size(self) -> int:
        """Bytes on disk."""
        ...

    @property
    def oldest(self) -> int | None:
        """When the oldest batch came (nanoseconds since the epoch), where that is known."""
        ...

    @property
    def damaged(self) -> int:
        """Places on disk so far where batches were and none can be read."""
        ...

    def __bool__(self) -> bool: ...

    def append(self, batch: Batch) -> bool:
        """Keep a batch; False when there is no room."""
        ...

    def peek(self) -> Batch | None:
        """Return the oldest batch, or None."""
        ...

    def done(self) -> None:
        """Forget the oldest batch: the broker has it."""
        ...

    async def run(self) -> None:
        """Do what is to be done beside, until cancelled."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Kept:
    """A backlog in memory: whoever fills it bounds it."""

    on_disk = False
    size = 0
    oldest = None
    damaged = 0

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    def append(self, batch: Batch) -> bool:
        """Keep a batch."""
        self._batches.append(batch)
        return True

    def peek(self) -> Batch | None:
        """Return the oldest batch, or None."""
        return self._batches[0] if self._batches else None

    def done(self) -> None:
        """Forget the oldest batch."""
        self._batches.popleft()

    async def run(self) -> None:
        """Nothing is to be done."""

    def close(self) -> None:
        """Nothing is held."""


def backlog_of(settings: CollectorSettings) -> Backlog:
    """Return the spool that the settings ask for; a backlog in memory where it cannot be had."""
    if not settings.spool_mb:
        return Kept()
    try:
        return Spool(settings.spool or default_folder(), settings.spool_mb * _MEBIBYTE)
    except SpoolFault as fault:
        log.warning("%s; while the broker is away events wait in memory only", fault)
        return Kept()

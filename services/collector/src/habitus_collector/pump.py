# SPDX-License-Identifier: Apache-2.0
"""Empties the ring buffer in batches, inside the event loop."""

import asyncio
from typing import Final

from habitus_collector.libbpf import RingBuffer

_AT_ONCE_S: Final = 0.0


class Pump:
    """Sleeps while nothing comes; after the first record it waits a little, then takes all.

    The kernel wakes a reader only for a record that finds the ring empty. Reading each at once
    would cost the container a wake-up an event (some 100 µs of a spawn on a virtual machine);
    so a busy container costs one for each pause, and an idle node none.
    """

    def __init__(self, ring: RingBuffer, pause_s: float) -> None:
        self._ring = ring
        self._pause_s = pause_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    def stop(self) -> None:
        """Take what is there, and no more after that."""
        self._loop.remove_reader(self._ring.fd)
        if self._timer:
            self._timer.cancel()
        while self._ring.drain().more:
            pass

    def _wait(self) -> None:
        self._timer = None
        self._loop.add_reader(self._ring.fd, self._begin)

    def _begin(self) -> None:
        self._loop.remove_reader(self._ring.fd)
        self._timer = self._loop.call_later(self._pause_s, self._drain)

    def _drain(self) -> None:
        more = False
        try:
            more = self._ring.drain().more
        finally:
            # Other work of the loop gets its turn between two looks.
            if more:
                self._timer = self._loop.call_later(_AT_ONCE_S, self._drain)
            else:
                self._wait()

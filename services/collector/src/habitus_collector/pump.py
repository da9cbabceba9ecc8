# SPDX-License-Identifier: Apache-2.0
"""Empties the ring buffers in batches, inside the event loop."""

import asyncio
from typing import Final

from habitus_collector.kernel_side import KernelSide

_AT_ONCE_S: Final = 0.0


class Pump:
    """Sleeps while nothing comes; after the first record it waits a little, then takes all.

    The kernel wakes a reader only for a record that finds the ring empty. Reading each at once
    would cost the container a wake-up an event (some 100 µs of a spawn on a virtual machine);
    so a busy container costs one for each pause, and an idle node none.
    """

    def __init__(self, sensors: KernelSide, pause_s: float) -> None:
        self._sensors = sensors
        self._pause_s = pause_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    def stop(self) -> None:
        """Take what is there, and no more after that."""
        self._listen(on=False)
        if self._timer:
            self._timer.cancel()
        while self._sensors.drain():
            pass

    def _wait(self) -> None:
        self._timer = None
        self._listen(on=True)

    def _listen(self, *, on: bool) -> None:
        for ring in self._sensors.rings:
            if on:
                self._loop.add_reader(ring.fd, self._begin)
            else:
                self._loop.remove_reader(ring.fd)

    def _begin(self) -> None:
        self._listen(on=False)
        self._timer = self._loop.call_later(self._pause_s, self._drain)

    def _drain(self) -> None:
        more = False
        try:
            more = self._sensors.drain()
        finally:
            # Other work of the loop gets its turn between two looks.
            if more:
                self._timer = self._loop.call_later(_AT_ONCE_S, self._drain)
            else:
                self._wait()

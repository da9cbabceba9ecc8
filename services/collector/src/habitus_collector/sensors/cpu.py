# SPDX-License-Identifier: Apache-2.0
"""Processor use of each container: the kernel counts it anyway; read at times, told if it changed."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from habitus.events import Event, Usage
from habitus_collector.cpu_usage import ProcessorTime
from habitus_collector.sensors import Ground, Group, Sensor
from habitus_collector.translate import NOBODY

STEP_CORES: Final = 0.05
STEP: Final = 0.2
"""A change is told from this many cores on, or from this part of what was told last, whichever is more."""
SILENT_WINDOWS: Final = 12
"""What does not change is told this often all the same: silence would look like a container that ended."""


@dataclass
class _Reading:
    """One container's last reading: seconds of processor time, at a moment; and what was told last."""

    used: float
    at: float
    told: float | None = None
    silent: int = 0


class Meter:
    """Turns readings of processor time into what is worth telling."""

    def __init__(self) -> None:
        self._readings: dict[str, _Reading] = {}

    def read(self, container: str, used: float, at: float) -> Usage | None:
        """Take in a reading (both in seconds); return the use since the last one when it is to be told."""
        last = self._readings.get(container)
        if last is None or used < last.used or at <= last.at:  # the first, or of another group
            self._readings[container] = _Reading(used, at)
            return None
        window = at - last.at
        cores = (used - last.used) / window
        last.used, last.at = used, at
        last.silent += 1
        if last.told is not None and last.silent < SILENT_WINDOWS and _alike(cores, last.told):
            return None
        last.told, last.silent = cores, 0
        return Usage(cores=round(cores, 3), window_s=round(window, 3))

    def keep(self, containers: set[str]) -> None:
        """Forget every other container."""
        for gone in self._readings.keys() - containers:
            del self._readings[gone]


def _alike(cores: float, told: float) -> bool:
    return abs(cores - told) < max(STEP_CORES, STEP * told)


async def _poll(ground: Ground) -> None:
    meter, time_of = Meter(), ProcessorTime(ground.tree)
    while True:
        groups = ground.groups()
        meter.keep({group.container for group in groups})
        for group in groups:
            _look(ground, group, meter, time_of)
        await asyncio.sleep(ground.settings.cpu_every_s)


def _look(ground: Ground, group: Group, meter: Meter, time_of: ProcessorTime) -> None:
    used = time_of.of(group.folder)
    usage = None if used is None else meter.read(group.container, used, time.monotonic())
    if usage:
        event = Event(
            ts=time.time_ns(),
            node=ground.settings.node,
            class_="cpu",
            op="usage",
            container=NOBODY,
            usage=usage,
        )
        ground.take(group.cgroup, event)


SENSOR: Final = Sensor(None, {}, needs=("process",), poll=_poll)

# SPDX-License-Identifier: Apache-2.0
"""Processes: exec, fork, exit; those that ran before us are listed once."""

from typing import Final

from habitus.events import Event
from habitus_collector import records
from habitus_collector.clock import Clock
from habitus_collector.records import Head, Kind
from habitus_collector.sensors import Sensor
from habitus_collector.translate import event_of


def _event(head: Head, raw: bytes, clock: Clock, node: str) -> Event:
    return event_of(records.PROCESS[head.kind](head, raw), clock, node)


SENSOR: Final = Sensor(
    "process.bpf.o",
    dict.fromkeys((Kind.EXEC, Kind.FORK, Kind.EXIT), _event),
    lister="tasks.bpf.o",
    ring_bytes=2 << 20,
)

# SPDX-License-Identifier: Apache-2.0
"""What is asked of files through io_uring, past every system call: open, create, rename, unlink, link."""

from typing import Final

from habitus.events import Event
from habitus_collector.clock import Clock
from habitus_collector.records import Head
from habitus_collector.sensors import Sensor
from habitus_collector.sensors.file import event_of

KIND: Final = 48
"""RECORD_URING: a file record."""


def _event(head: Head, raw: bytes, clock: Clock, node: str) -> Event:
    event = event_of(head, raw, clock, node)
    assert event.file is not None  # noqa: S101  # made there
    event.file.via = "io_uring"
    return event


# Which processes have arrived in their container is what the process sensor finds out.
SENSOR: Final = Sensor("uring.bpf.o", {KIND: _event}, needs=("process",))

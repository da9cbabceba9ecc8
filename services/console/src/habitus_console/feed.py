# SPDX-License-Identifier: Apache-2.0
"""Feeds JSON Lines to a running stack as a collector would, and reports each bad line once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from habitus.bus import Bus
from habitus.interchange import BadLine, read_lines
from habitus.publish import EventPublisher

_CHUNK: Final = 5000
_SLICE_NS: Final = 10_000_000
"""As long as a collector gathers: an exec of a recording is not told after what its children did."""

Report = Callable[[str], None]
Advance = Callable[[int], None]


@dataclass
class Fed:
    """What was fed: the good lines' numbers in order, and how far each partition got in EVENTS."""

    lines: list[int] = field(default_factory=list)
    bad: int = 0
    last_sequence: dict[int, int] = field(default_factory=dict)


def event_id(phase: str, number: int) -> str:
    """The id of the event in line `number` of the file fed as `phase`."""
    return f"{phase}:{number}"


def line_of(phase: str, event: str) -> int | None:
    """The line of an event id, or None when it is not of this phase."""
    head, _, number = event.rpartition(":")
    return int(number) if head == phase and number.isdigit() else None


async def feed(bus: Bus, path: Path, phase: str, report: Report, advance: Advance) -> Fed:
    """Publish every event of `path`; return when the broker has stored all of them.

    `report` gets one line for each bad or repaired line; `advance` gets the bytes read.
    """
    publisher = EventPublisher(bus, node=f"replay-{phase}")
    fed, began = Fed(last_sequence=publisher.last_sequence), 0
    with path.open("rb") as file:
        for item in read_lines(_counted(file, advance)):
            if isinstance(item, BadLine):
                fed.bad += 1
                report(f"{path.name}:{item.number}: {item.reason}; skipped")
                continue
            if item.warning:
                report(f"{path.name}:{item.number}: {item.warning}")
            fed.lines.append(item.number)
            item.event.id = event_id(phase, item.number)
            if abs(item.event.ts - began) > _SLICE_NS:
                publisher.cut()
                began = item.event.ts
            publisher.add(item.event)
            if publisher.pending >= _CHUNK:
                await publisher.flush()
    await publisher.flush()
    return fed


def _counted(file: BinaryIO, advance: Advance) -> Iterator[bytes]:
    lines: Iterable[bytes] = file
    for line in lines:
        advance(len(line))
        yield line

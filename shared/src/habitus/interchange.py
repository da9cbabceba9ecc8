# SPDX-License-Identifier: Apache-2.0
"""JSON Lines: one event an object. Read by `habitus replay`, written by `habitus record`."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from habitus.events import Event, as_record, fault_of
from habitus.text import printable

_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()
_OFFSET = re.compile(r" \(byte (\d+)\)$")


class BadLine(NamedTuple):
    """A line that holds no event. `number` counts from 1, blank lines included."""

    number: int
    reason: str


class GoodLine(NamedTuple):
    """A line and its event. `warning` names what had to be repaired, or is None."""

    number: int
    event: Event
    warning: str | None = None


def read_lines(lines: Iterable[bytes]) -> Iterator[GoodLine | BadLine]:
    r"""Yield one item for each line that is not blank, in order. Never raises for bad content.

    Bytes that are not UTF-8 are kept as `\xNN` and warned of: the event still counts.
    """
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if line:
            yield _parsed(number, line)


def _parsed(number: int, line: bytes) -> GoodLine | BadLine:
    warning = None
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        warning = f"byte {error.start + 1} is not UTF-8: kept as \\x{line[error.start]:02x}"
        # Doubled, so that the JSON string holds a backslash and not an escape that JSON lacks.
        line = line.decode("utf-8", "backslashreplace").replace("\\x", "\\\\x").encode()
    try:
        event = _decoder.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return BadLine(number, _reason(error))
    event.id = ""
    fault = fault_of(event)
    if fault:
        return BadLine(number, fault)
    return GoodLine(number, event, warning)


def _reason(error: Exception) -> str:
    text = _OFFSET.sub(lambda match: f" at byte {match[1]}", str(error))
    return printable(text, 200)


def write_line(event: Event) -> bytes:
    """Return the event as one line of JSON, newline included."""
    return _encoder.encode(as_record(event)) + b"\n"

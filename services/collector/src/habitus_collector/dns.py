# SPDX-License-Identifier: Apache-2.0
"""Reads messages of DNS (RFC 1035). The bytes are hostile: every loop is bounded, nothing recurses."""

import struct
from typing import Final, NamedTuple

from habitus_collector.network_records import text_of

_HEADER: Final = struct.Struct(">HHHHHH")
_RECORD: Final = struct.Struct(">HHIH")
_QUESTION: Final = struct.Struct(">HH")

_ANSWER_BIT: Final = 0x8000
_OPCODE: Final = 0x7800
_CODE: Final = 0x000F
_POINTER: Final = 0xC0
_IN: Final = 1
_ADDRESS_BYTES: Final = {1: 4, 28: 16}  # A, AAAA

NAME_BYTES: Final = 255
"""A name's longest form on the wire, by RFC 1035 §2.3.4."""
RECORDS_LIMIT: Final = 64
"""Answers looked at in one message."""


class Message(NamedTuple):
    """One question and what was answered: (address, seconds to live)."""

    id: int
    is_answer: bool
    name: str
    addresses: list[tuple[str, int]]


class _MalformedError(ValueError):
    pass


def parse(raw: bytes) -> Message | None:
    """Return the message in `raw`, or None when it is no plain query or its answer.

    A message that ends too early gives the answers that stand before the end.
    """
    try:
        number, flags, questions, answers, _, _ = _HEADER.unpack_from(raw)
        if flags & _OPCODE or questions != 1:
            return None
        name, at = read_name(raw, _HEADER.size)
        _QUESTION.unpack_from(raw, at)
    except (_MalformedError, struct.error):
        return None
    is_answer = bool(flags & _ANSWER_BIT)
    message = Message(number, is_answer, name, [])
    if is_answer and not flags & _CODE:
        _read_answers(raw, at + _QUESTION.size, min(answers, RECORDS_LIMIT), message.addresses)
    return message


def _read_answers(raw: bytes, at: int, count: int, found: list[tuple[str, int]]) -> None:
    for _ in range(count):
        try:
            at = _skip_name(raw, at)
            kind, family, live, length = _RECORD.unpack_from(raw, at)
        except (_MalformedError, struct.error):
            return
        at += _RECORD.size
        data = raw[at : at + length]
        at += length
        # Aliases need no look: whatever they lead to was given as answer to the question's name.
        if family == _IN and len(data) == length == _ADDRESS_BYTES.get(kind):
            found.append((text_of(data), live))


def read_name(raw: bytes, at: int) -> tuple[str, int]:
    """Return the name at `at` in lower case, and where what follows it begins.

    A compressed name may only point backwards, and its length is bounded: no loop can keep us.
    """
    labels: list[str] = []
    after, lowest, used = 0, at, 1
    while True:
        length = _byte(raw, at)
        if length >= _POINTER:
            after = after or at + 2
            at = (length & ~_POINTER) << 8 | _byte(raw, at + 1)
            if at >= lowest:
                raise _MalformedError
            lowest = at
            continue
        if length & _POINTER:
            raise _MalformedError
        used += length + 1
        if used > NAME_BYTES or at + 1 + length > len(raw):
            raise _MalformedError
        if not length:
            return ".".join(labels) or ".", after or at + 1
        labels.append(_label(raw[at + 1 : at + 1 + length]))
        at += length + 1


def _skip_name(raw: bytes, at: int) -> int:
    for _ in range(NAME_BYTES):
        length = _byte(raw, at)
        if length >= _POINTER:
            return at + 2
        at += length + 1
        if not length:
            return at
    raise _MalformedError


def _label(raw: bytes) -> str:
    # As in zone files (RFC 1035 §5.1): a dot inside a label must not look like one between two.
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789-_*"
    return "".join(chr(byte) if byte in plain else f"\\{byte:03d}" for byte in raw.lower())


def _byte(raw: bytes, at: int) -> int:
    if at >= len(raw):
        raise _MalformedError
    return raw[at]

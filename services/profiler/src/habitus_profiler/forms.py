# SPDX-License-Identifier: Apache-2.0
"""The normal form of a command line: one text in which nothing volatile is left, and its slots.

Shell text (`sh -c …`, also behind `env`, `timeout`, `xargs` and inside itself) is split and each
command in it read as a command line of its own; inline code of interpreters gives its words.
Flags inside shell text belong to their command: the slot is `curl -o`, not `-o`.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from habitus_profiler.called import named
from habitus_profiler.flags import IDLE_FLAGS
from habitus_profiler.programs import program
from habitus_profiler.reader import MAX_TOKENS, Reader, digest
from habitus_profiler.slots import Slot
from habitus_profiler.standins import shows, stood_in, stood_in_packed

MAX_TEXT: Final = 4000
_MAX_SLOTS: Final = 512
_SHOWN: Final = frozenset({"remote", "switch"})
_SHORT: Final = 2000
_QUOTES: Final = "\\'\""
"""What a shell takes off: it could join an id to what stands before it."""
_PACKED_QUOTES: Final = tuple(map(str.encode, _QUOTES))
_MOST_SIGNS: Final = 2048
_signs: Final[dict[bytes, bytes]] = {}
_words: Final = msgspec.msgpack.Decoder(tuple[str, ...])


class Form(NamedTuple):
    """`text` is what two command lines that differ in nothing but ids and times share."""

    text: str
    slots: tuple[Slot, ...]
    idle: bool = False
    """Whether the program is only asked about itself (`--version`)."""


def form_of(argv: tuple[str, ...]) -> Form:
    """Return the normal form of an argument vector, argv[0] included. Never raises."""
    if sum(map(len, argv)) + len(argv) > _SHORT:
        return _form_of(argv)
    key = _stood_in(argv)
    return _remembered(argv) if key is None else _by_shape(key) or _form_of(argv)


def sign_of(packed: bytes) -> bytes:
    """Return what all command lines of one form share, and no others: a digest, or the line where it is long.

    `packed` is the argument vector as msgpack.

    Raises:
        msgspec.DecodeError: it is no argument vector.
    """
    if len(packed) > _SHORT:
        return packed
    sign = _signs.get(packed)
    if sign is None:
        if len(_signs) >= _MOST_SIGNS:
            _signs.clear()  # most are of ids that never come again: to find the oldest would cost more
        sign = _signs[packed] = _sign_of(packed)
    return sign


def _sign_of(packed: bytes) -> bytes:
    stood = stood_in_packed(packed)
    sign = _sign_by_shape(stood) if stood != packed else None
    return sign or _sign_as_it_is(packed)


@lru_cache(maxsize=4096)
def _sign_as_it_is(packed: bytes) -> bytes:
    return _digest(_form_of(_words.decode(packed)))


@lru_cache(maxsize=4096)
def _sign_by_shape(stood: bytes) -> bytes | None:
    if any(quote in stood for quote in _PACKED_QUOTES):
        return None
    form = _by_shape(_words.decode(stood))
    return _digest(form) if form else None


def _digest(form: Form) -> bytes:
    return blake2b(repr(form).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _stood_in(argv: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the command line with the fixed id in place of each id, None where there is none to replace."""
    joined = "\0" + "\0".join(argv)
    key = stood_in(joined)
    if key == joined or joined.count("\0") != len(argv) or any(map(joined.__contains__, _QUOTES)):
        return None
    return tuple(key[1:].split("\0"))


@lru_cache(maxsize=8192)
def _by_shape(argv: tuple[str, ...]) -> Form | None:
    """Return the form of all command lines that differ from this one in ids only; None if ids count in it."""
    reader = Reader()
    form = _read(reader, argv)
    if reader.literal or shows(form.text) or any(shows(slot.value) for slot in form.slots):
        return None
    return form


def _form_of(argv: tuple[str, ...]) -> Form:
    return _read(Reader(), argv)


def _read(reader: Reader, argv: tuple[str, ...]) -> Form:
    words = argv[:MAX_TOKENS]
    if words:
        reader.take(named(words[0]))
        reader.arguments(program(words[0]), words[1:], prefix="", depth=0)
    if len(argv) > MAX_TOKENS:
        reader.slots[Slot("overlong", f"over {1 << (len(argv).bit_length() - 1)} arguments")] = None
    text = " ".join(reader.texts)
    # What two lines of one text would differ in belongs into it: `get[203.0.113.9,/a]`, `--verify=0`.
    text += "".join(
        f" <{slot.value}>" for slot in reader.slots if slot.kind in _SHOWN and slot.value not in text
    )
    if len(text) > MAX_TEXT:
        # The tail still tells two forms apart; only the embedder does not see it.
        text = f"{text[:MAX_TEXT]}…{digest(text[MAX_TEXT:])}"
    return Form(text, tuple(reader.slots)[:_MAX_SLOTS], len(argv) > 1 and IDLE_FLAGS.issuperset(argv[1:]))


_remembered: Final = lru_cache(maxsize=4096)(_form_of)

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

from habitus_profiler.flags import IDLE_FLAGS
from habitus_profiler.programs import program
from habitus_profiler.reader import MAX_TOKENS, Reader, digest, named
from habitus_profiler.slots import Slot
from habitus_profiler.standins import shows, stood_in

MAX_TEXT: Final = 4000
_MAX_SLOTS: Final = 512
_SHORT: Final = 2000
_QUOTES: Final = "\\'\""
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
    return packed if len(packed) > _SHORT else _sign_of(packed)


@lru_cache(maxsize=2048)
def _sign_of(packed: bytes) -> bytes:
    argv = _words.decode(packed)
    key = _stood_in(argv)
    if key is None:
        return _digest(_remembered(argv))
    return _sign_by_shape(key) or _digest(_form_of(argv))


@lru_cache(maxsize=2048)
def _sign_by_shape(key: str) -> bytes | None:
    form = _by_shape(key)
    return _digest(form) if form else None


def _digest(form: Form) -> bytes:
    return blake2b(repr(form).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _stood_in(argv: tuple[str, ...]) -> str | None:
    """Return the command line with the fixed id in place of each id, None where there is none to replace."""
    joined = "\0" + "\0".join(argv)
    key = stood_in(joined)
    # Quotes that a shell takes off could join an id to what stands before it.
    if key == joined or joined.count("\0") != len(argv) or any(map(joined.__contains__, _QUOTES)):
        return None
    return key


@lru_cache(maxsize=8192)
def _by_shape(key: str) -> Form | None:
    """Return the form of all command lines that differ in ids only; None if ids count in it."""
    reader = Reader()
    form = _read(reader, tuple(key[1:].split("\0")))
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
    if len(text) > MAX_TEXT:
        # The tail still tells two forms apart; only the embedder does not see it.
        text = f"{text[:MAX_TEXT]}…{digest(text[MAX_TEXT:])}"
    return Form(text, tuple(reader.slots)[:_MAX_SLOTS], len(argv) > 1 and IDLE_FLAGS.issuperset(argv[1:]))


_remembered: Final = lru_cache(maxsize=4096)(_form_of)

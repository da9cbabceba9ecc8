# SPDX-License-Identifier: Apache-2.0
"""Memory goes back to the system after a storm, and not while one lasts."""

import ctypes
import re
from pathlib import Path

import pytest

from habitus_collector import memory
from habitus_collector.memory import AfterStorms

MANY = 20_000
_PIECES = 40_000
_PIECE_BYTES = 1000


def resident_kib() -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1])


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone keeps what was freed")
def test_what_was_freed_below_what_is_in_use_goes_back():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    pieces = [libc.malloc(_PIECE_BYTES) for _ in range(_PIECES)]
    for piece in pieces:
        ctypes.memset(piece, 1, _PIECE_BYTES)
    for piece in pieces[:-1]:
        libc.free(piece)
    before = resident_kib()

    memory.give_back()

    libc.free(pieces[-1])
    assert before - resident_kib() > _PIECES * _PIECE_BYTES / 1024 / 2


def test_it_is_time_once_many_events_have_passed_and_none_waits():
    storms = AfterStorms()

    assert not storms.look(MANY - 1, 0)
    assert not storms.look(MANY, 5)
    assert storms.look(MANY + 7, 0)


def test_it_is_time_again_after_as_many_more():
    storms = AfterStorms()
    assert storms.look(MANY, 0)

    assert not storms.look(2 * MANY - 1, 0)
    assert storms.look(2 * MANY, 0)

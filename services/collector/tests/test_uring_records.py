# SPDX-License-Identifier: Apache-2.0
"""A request of io_uring is a file record of its own kind, and its event says which way it came."""

import pytest

from habitus_btf import btf_of
from habitus_collector import file_records, records
from habitus_collector.clock import Clock
from habitus_collector.file_records import FileFlag, FileOp, ToldFlag
from habitus_collector.sensors.uring import KIND, SENSOR

TOKEN = bytes(range(1, 17))
NO_PLACE = file_records.PLACE.pack(0, 0, 0, 0)


def event_of(told: bytes, told_flags: int = 0):
    raw = records.HEAD.pack(1000, 77, KIND, 41, 1, 0, b"cat", b"bash", TOKEN)
    place = file_records.PLACE.pack(4, 0, len(told), told_flags)
    raw += file_records.FILE.pack(FileOp.CREATE, FileFlag.WRITE, 0, 0, 0, place + NO_PLACE) + b"/tmp" + told
    return SENSOR.readers[KIND](records.head_of(raw), raw, Clock(), "n1")


def test_the_object_has_the_same_kind_and_the_same_record_as_the_file_sensor():
    btf = btf_of("uring.bpf.o")

    assert btf.layout("uring_kind")[1] == {"RECORD_URING": KIND}
    assert btf.layout("file_record") == btf_of("file.bpf.o").layout("file_record")


def test_an_event_says_that_it_came_by_io_uring():
    event = event_of(b"a/../b")

    assert (event.class_, event.op, event.file.path) == ("file", "create", "/tmp/b")
    assert (event.file.via, event.file.flags, event.token) == ("io_uring", ["write"], TOKEN)


@pytest.mark.parametrize(
    ("told", "flags", "path"), [(b"", ToldFlag.UNREAD, "/tmp/…"), (b"\xff", 0, "/tmp/\\xff")]
)
def test_hostile_and_unreadable_names_are_told_as_such(told, flags, path):
    assert event_of(told, flags).file.path == path

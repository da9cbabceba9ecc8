# SPDX-License-Identifier: Apache-2.0
"""Bytes of the bcc programs → events; bytes that are none are a fault, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_collector.clock import Clock
from habitus_collector.loaders.bcc import records
from habitus_collector.records import RecordFault

CLOCK = Clock()


def head(kind):
    return records.HEAD.pack(1, 7, kind, 41, 1, 0, b"sh", b"bash")


def path(*parts, flags=0):
    room = b"".join(part.ljust(records.PART_BYTES, b"\0") for part in parts)
    return records._PATH.pack(len(parts), flags, room)


def test_an_exec_says_program_arguments_and_lineage():
    argv = b"/bin/sh\0-c\0\xff\0"
    fields = records._EXEC.pack(1, 0, len(argv), 0, b"bash".ljust(16, b"\0"))

    event = records.event_of(head(2) + fields + path(b"sh", b"bin") + argv + bytes(50), CLOCK, "n1")

    assert (event.op, event.process.exe, event.process.argv) == (
        "exec",
        "/bin/sh",
        ["/bin/sh", "-c", "\\xff"],
    )
    assert (event.process.ancestors, event.process.truncated) == (["bash"], False)


@pytest.mark.parametrize(
    ("base", "name", "whole"),
    [
        ((b"b", b"a"), b"x", "/a/b/x"),
        ((b"b", b"a"), b"../x", "/a/x"),
        ((b"b", b"a"), b"/etc//passwd", "/etc/passwd"),
        ((), b"x", "/x"),
        ((b"a",), b"y" * 511, "/a/" + "y" * 511 + "…"),
    ],
)
def test_a_name_that_was_given_is_joined_to_where_it_begins(base, name, whole):
    fields = records._NAME.pack(1, 0) + path(*base) + name.ljust(512, b"\0") + bytes(512)

    event = records.event_of(head(6) + fields, CLOCK, "n1")

    assert (event.op, event.file.path) == ("unlink", whole)


def test_a_new_name_in_a_folder_that_is_not_told_says_so():
    fields = records._NAME.pack(2, 1) + path(b"a") + b"x".ljust(512, b"\0") + b"y".ljust(512, b"\0")

    event = records.event_of(head(6) + fields, CLOCK, "n1")

    assert (event.op, event.file.path, event.file.new_path) == ("rename", "/a/x", "…/y")


def test_a_path_that_is_too_deep_is_cut_above():
    fields = records._OPEN.pack(0, 0) + path(b"c", b"b", flags=1)

    assert records.event_of(head(5) + fields, CLOCK, "n1").file.path == "…/b/c"


@given(st.integers(0, 9), st.binary(max_size=2600))
def test_bytes_that_are_no_record_are_a_fault_and_nothing_else(kind, rest):
    try:
        records.event_of(head(kind) + rest, CLOCK, "n1")
    except RecordFault:
        return
    assert kind in {2, 3, 4, 5, 6, 7}

# SPDX-License-Identifier: Apache-2.0
"""Records of files, as a hostile process can make them, and what becomes of them."""

import pytest

from habitus.events import fault_of
from habitus_collector import file_records, records
from habitus_collector.clock import Clock
from habitus_collector.file_records import FileFlag, FileOp, ToldFlag
from habitus_collector.records import PathFlag, RecordFault
from habitus_collector.sensors import Surroundings
from habitus_collector.sensors.file import SENSOR, Reading

NO_PLACE = (b"", 0, b"", 0)


def a_file(op, flags, *places, repeats=0, value=0, token=bytes(16)):
    raw = records.HEAD.pack(1000, 77, file_records.KIND, 41, 1, 0, b"cat", b"bash", token)
    padded = [*places, NO_PLACE][:2]
    packed = b"".join(
        file_records.PLACE.pack(len(walked), walked_flags, len(told), told_flags)
        for walked, walked_flags, told, told_flags in padded
    )
    data = b"".join(walked + told for walked, _, told, _ in padded)
    return raw + file_records.FILE.pack(op, flags, repeats, 0, value, packed) + data + b"\xff" * 5


def event_of(raw):
    head = records.head_of(raw)
    return SENSOR.reading(Surroundings())[head.kind](head, raw, Clock(), "n1")


def a_total(first, read, written, pid=41):
    raw = records.HEAD.pack(2000, 77, file_records.KIND_TOTAL, pid, 1, 0, b"cat", b"bash", bytes(16))
    return raw + file_records.TOTAL.pack(first, read, written)


def heard(reading, raw):
    head = records.head_of(raw)
    read = reading.total if head.kind == file_records.KIND_TOTAL else reading.file
    return read(head, raw, Clock(), "n1")


def test_an_open_becomes_an_event():
    raw = a_file(FileOp.OPEN, FileFlag.READ | FileFlag.APPEND, (b"/etc/shadow", 0, b"", 0))

    event = event_of(raw)

    assert (event.class_, event.op, event.node) == ("file", "open", "n1")
    assert (event.process.pid, event.process.name, event.process.parent) == (41, "cat", "bash")
    assert (event.file.path, event.file.new_path) == ("/etc/shadow", None)
    assert event.file.flags == ["read", "append"]


def test_a_rename_has_both_names():
    raw = a_file(FileOp.RENAME, 0, (b"/tmp", 0, b"a", 0), (b"", 0, b"/b", 0))

    event = event_of(raw)

    assert (event.op, event.file.path, event.file.new_path) == ("rename", "/tmp/a", "/b")


def test_a_symbolic_link_says_what_it_says():
    raw = a_file(FileOp.LINK, FileFlag.SYMBOLIC, (b"/tmp", 0, b"../etc", 0), (b"/tmp", 0, b"l", 0))

    event = event_of(raw)

    assert (event.file.path, event.file.new_path) == ("../etc", "/tmp/l")


@pytest.mark.parametrize(
    ("flag", "value", "mode", "owner"),
    [
        (FileFlag.MODE, 0o4755, "4755", None),
        (FileFlag.MODE, 0, "0000", None),
        (FileFlag.OWNER, 7 << 32 | 8, None, "7:8"),
        (FileFlag.OWNER, 0xFFFFFFFF << 32 | 0, None, "-:0"),
        (FileFlag.OWNER, 0xFFFFFFFF, None, "0:-"),
    ],
)
def test_new_rights_and_owners_are_told(flag, value, mode, owner):
    event = event_of(a_file(FileOp.CHMOD, flag, (b"/a", 0, b"", 0), value=value))

    assert (event.file.mode, event.file.owner) == (mode, owner)


@pytest.mark.parametrize(
    ("flags", "place", "path"),
    [
        (FileFlag.MODULE, (b"/lib/x.ko", 0, b"", 0), "/lib/x.ko"),
        (FileFlag.MODULE, NO_PLACE, "memory"),
        (FileFlag.MODULE | FileFlag.UNLOAD, (b"/root", 0, b"evil", 0), "evil"),
    ],
)
def test_a_module_comes_from_a_file_or_from_memory_and_leaves_by_its_name(flags, place, path):
    event = event_of(a_file(FileOp.LOAD, flags, place))

    assert (event.op, event.file.path) == ("load", path)


@pytest.mark.parametrize(("token", "on_the_wire"), [(bytes(16), b""), (b"t" * 16, b"t" * 16)])
def test_a_token_crosses_the_wire_unless_there_is_none(token, on_the_wire):
    event = event_of(a_file(FileOp.OPEN, FileFlag.READ, (b"/a", 0, b"", 0), token=token))

    assert event.token == on_the_wire


def test_the_root_is_a_path():
    event = event_of(a_file(FileOp.OPEN, FileFlag.READ | FileFlag.DIRECTORY, NO_PLACE))

    assert event.file.path == "/"


@pytest.mark.parametrize("op", list(FileOp))
def test_every_op_is_one_of_the_interchange_format(op):
    event = event_of(a_file(op, 0, (b"/a", 0, b"", 0), (b"/b", 0, b"", 0)))
    event.container.image = "i"

    assert fault_of(event) is None


def test_a_name_that_is_gone_is_marked():
    record = event_of(a_file(FileOp.UNLINK, 0, (b"/tmp", 0, b"", ToldFlag.UNREAD)))

    assert record.file.path == "/tmp/…"


@pytest.mark.parametrize(
    ("start", "told", "path"),
    [
        ("/", "a", "/a"),
        ("/", "/etc//x/", "/etc/x"),
        ("/tmp", "../etc/./passwd", "/etc/passwd"),
        ("/tmp", "../../../..", "/"),
        ("/tmp", "", "/tmp"),
        ("/tmp", ".", "/tmp"),
        ("/tmp", "a\n\x1b", "/tmp/a\n\x1b"),
        ("…/d", "x", "…/d/x"),
    ],
)
def test_names_are_joined_to_where_they_start(start, told, path):
    assert file_records.joined(start, told) == path


def test_a_cut_start_stays_marked():
    record = event_of(a_file(FileOp.UNLINK, 0, (b"/d/d", PathFlag.CUT, b"x", 0)))

    assert record.file.path == "…/d/d/x"


@pytest.mark.parametrize("raw", [a_file(99, 0, (b"/a", 0, b"", 0)), a_file(1, 0)[:70]])
def test_other_bytes_are_refused(raw):
    with pytest.raises(RecordFault, match="run make bpf"):
        event_of(raw)


@pytest.mark.parametrize(
    ("op", "flags", "value", "told"),
    [
        (FileOp.READ, 0, 7, 7),
        (FileOp.WRITE, 0, 1 << 40, 1 << 40),
        (FileOp.WRITE, FileFlag.TRUNCATE, 0, None),
        (FileOp.CHMOD, FileFlag.MODE, 0o644, None),
    ],
)
def test_bytes_are_told_of_reads_and_writes_alone(op, flags, value, told):
    event = event_of(a_file(op, flags, (b"/a", 0, b"", 0), value=value))

    assert event.file.bytes == told


def test_sums_get_the_path_of_the_first_record_once():
    reading = Reading()
    heard(reading, a_file(FileOp.READ, 0, (b"/a", 0, b"", 0), value=7))

    event = heard(reading, a_total(1000, 12, (1 << 64) - 1))

    event.container.image = "i"
    assert fault_of(event) is None
    assert (event.op, event.process.name) == ("close", "cat")
    assert (event.file.path, event.file.read, event.file.written) == ("/a", 12, None)
    assert heard(reading, a_total(1000, 12, 0)) is None


@pytest.mark.parametrize("raw", [a_total(1000, 1, 1, pid=42), a_total(999, 1, 1)])
def test_sums_of_another_use_get_no_path(raw):
    reading = Reading()
    heard(reading, a_file(FileOp.READ, 0, (b"/a", 0, b"", 0), value=7))

    assert heard(reading, raw) is None


def test_what_may_be_remembered_is_bounded():
    reading = Reading()
    heard(reading, a_file(FileOp.READ, 0, (b"/" + b"a" * 2000, 0, b"", 0), value=7))
    for pid in range(5000):
        raw = bytearray(a_file(FileOp.READ, 0, (b"/a", 0, b"", 0), value=7))
        raw[20:24] = pid.to_bytes(4, "little")
        heard(reading, bytes(raw))

    assert len(reading._paths) == 4096
    assert set(reading._paths.values()) == {"/a"}


def test_sums_that_are_cut_are_refused():
    with pytest.raises(RecordFault):
        heard(Reading(), a_total(1000, 1, 1)[:-1])

# SPDX-License-Identifier: Apache-2.0
"""Records of the kernel, as a hostile process can make them."""

import struct
import time

import pytest

from habitus.events import Process
from habitus_collector import records
from habitus_collector.clock import Clock
from habitus_collector.records import ArgvFlag, ExeClass, Kind, PathFlag, PreloadFlag
from habitus_collector.translate import event_of

TOKEN = bytes(range(1, 17))


def head(kind: int, comm: bytes = b"java", parent: bytes = b"bash", token: bytes = bytes(16)) -> bytes:
    return records.HEAD.pack(1000, 77, kind, 41, 1, 0, comm, parent, token)


def an_exec(
    exe: bytes,
    cwd: bytes,
    argv: bytes,
    preload: bytes = b"",
    *,
    flags: tuple[int, int, int, int] = (0, 0, 0, 0),
    exe_class: int = ExeClass.UNKNOWN,
    running: int = 0,
    tty: bytes = b"",
    token: bytes = bytes(16),
    parent_started: int = 0,
) -> bytes:
    """`flags` are of exe, argv, preload, cwd."""
    comms = b"bash".ljust(16, b"\0") + b"tini".ljust(16, b"\0") + b"left over".ljust(16, b"\0")
    lengths = (len(exe), len(argv), len(preload), len(cwd))
    fixed = records.EXEC.pack(0x1FF, parent_started, *lengths, 2, *flags, exe_class, running, 0, tty, comms)
    return head(Kind.EXEC, token=token) + fixed + exe + argv + preload + cwd


def process_of(raw: bytes) -> Process:
    process = event_of(records.read(raw), Clock(), "n1").process
    assert process is not None
    return process


def test_an_exec_carries_path_arguments_and_the_lineage_up_to_the_container():
    record = records.read(an_exec(b"/usr/bin/java", b"/app", b"java\0-jar\0app.jar\0"))
    event = event_of(record, Clock(), "n1")

    process = event.process
    assert (event.class_, event.op, event.node) == ("process", "exec", "n1")
    assert (process.pid, process.ppid, process.name, process.parent) == (41, 1, "java", "bash")
    assert (process.exe, process.cwd) == ("/usr/bin/java", "/app")
    assert process.argv == ["java", "-jar", "app.jar"]
    assert process.ancestors == ["bash", "tini"]
    assert process.capabilities == "00000000000001ff"
    assert (process.truncated, process.running, process.tty, process.preload) == (False, False, None, None)


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (ExeClass.UNKNOWN, None),
        (ExeClass.IMAGE, "image"),
        (ExeClass.WRITABLE, "writable"),
        (ExeClass.MEMORY, "memory"),
    ],
)
def test_an_exec_says_where_its_program_lives(number, word):
    assert process_of(an_exec(b"/a", b"/", b"a\0", exe_class=number)).exe_class == word


def test_the_start_of_the_parent_is_told_by_the_wall_clock():
    at = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    told = process_of(an_exec(b"/a", b"/", b"a\0", parent_started=at)).parent_started

    assert abs(told - time.time_ns()) < 5e9
    assert process_of(an_exec(b"/a", b"/", b"a\0")).parent_started is None


def test_a_program_that_ran_before_is_marked():
    assert process_of(an_exec(b"/a", b"/", b"a\0", running=1)).running


@pytest.mark.parametrize(
    ("name", "text"),
    [(b"pts0", "pts/0"), (b"pts12", "pts/12"), (b"tty1", "tty1"), (b"ptsx", "ptsx"), (b"", None)],
)
def test_a_terminal_is_named_as_below_dev(name, text):
    assert process_of(an_exec(b"/a", b"/", b"a\0", tty=name)).tty == text


@pytest.mark.parametrize(
    ("raw", "flags", "text"),
    [
        (b"", 0, None),
        (b"", PreloadFlag.BEYOND, None),
        (b"", PreloadFlag.UNREAD, None),
        (b"\0", PreloadFlag.SET, ""),
        (b"/tmp/x.so\0", PreloadFlag.SET, "/tmp/x.so"),
        (b"/a.so\0/b.so\0", PreloadFlag.SET, "/a.so:/b.so"),
        (b"/a.so\0/a.so\0", PreloadFlag.SET, "/a.so"),
        (b"/\xff\x1b[2J\0", PreloadFlag.SET, "/\\xff\x1b[2J"),
        (b"long\0", PreloadFlag.SET | PreloadFlag.CUT, "long…"),
    ],
)
def test_a_preload_is_told_with_all_its_values(raw, flags, text):
    assert records.preload(raw, flags) == text


@pytest.mark.parametrize(
    ("flags", "cut"),
    [
        ((PathFlag.CUT, 0, 0, 0), True),
        ((0, ArgvFlag.CUT, 0, 0), True),
        ((0, 0, PreloadFlag.SET | PreloadFlag.CUT, 0), True),
        ((0, 0, 0, PathFlag.CUT), True),
        ((PathFlag.DELETED, ArgvFlag.UNREAD, PreloadFlag.BEYOND, PathFlag.DELETED), False),
    ],
)
def test_what_was_cut_is_marked(flags, cut):
    assert process_of(an_exec(b"/a", b"/", b"a\0", b"x\0", flags=flags)).truncated is cut


def test_a_token_goes_on_the_wire_and_an_empty_one_does_not():
    assert event_of(records.read(an_exec(b"/a", b"/", b"a\0", token=TOKEN)), Clock(), "n").token == TOKEN
    assert event_of(records.read(an_exec(b"/a", b"/", b"a\0")), Clock(), "n").token == b""


def test_ring_padding_after_the_arguments_is_not_read():
    record = records.read(an_exec(b"/a", b"/", b"a\0b\0") + b"\xff" * 7)

    assert record.argv == ["a", "b"]


@pytest.mark.parametrize(
    ("raw", "arguments"),
    [
        (b"a\0\0b\0", ["a", "", "b"]),
        (b"a\0\0", ["a", ""]),
        (b"\0", [""]),
        (b"", []),
        (b"a\xff\xfe\0", ["a\\xff\\xfe"]),
        (b"\x1b[31m\0", ["\x1b[31m"]),
        ("名\0".encode(), ["名"]),
    ],
)
def test_arguments_are_split_on_nul_and_no_byte_is_lost(raw, arguments):
    assert records.arguments(raw, 0) == arguments


def test_cut_arguments_end_visibly():
    assert records.arguments(b"a\0long", ArgvFlag.CUT) == ["a", "long…"]
    assert records.arguments(b"a\0", ArgvFlag.CUT) == ["a", "…"]


def test_arguments_that_could_not_be_read_are_absent_and_not_empty():
    assert records.arguments(b"", ArgvFlag.UNREAD) is None


@pytest.mark.parametrize(
    ("raw", "flags", "text"),
    [
        (b"", 0, "/"),
        (b"/usr/bin/java", 0, "/usr/bin/java"),
        (b"/tmp/x", PathFlag.DELETED, "/tmp/x (deleted)"),
        (b"/memfd:kthreadd", PathFlag.NAMELESS | PathFlag.DELETED, "memfd:kthreadd (deleted)"),
        (b"/deep/down", PathFlag.CUT, "…/deep/down"),
        (b"/\xff", 0, "/\\xff"),
    ],
)
def test_paths_say_what_is_unusual_about_them(raw, flags, text):
    assert records.path(raw, flags) == text


def test_an_exit_tells_code_and_signal():
    record = records.read(head(Kind.EXIT) + struct.pack("=II", 7, 9))

    assert (record.code, record.signal) == (7, 9)
    event = event_of(record, Clock(), "n")
    assert event.op == "exit"
    assert (event.process.exit_code, event.process.exit_signal) == (7, 9)


def test_a_new_cgroup_is_named_from_the_top():
    ids = [30, 20] + [0] * 10
    names = b"leaf".ljust(128, b"\0") + b"top".ljust(128, b"\0")
    raw = head(Kind.NEW_CGROUP) + struct.pack("=II12Q", 2, 0, *ids) + names.ljust(1536, b"\0")

    assert records.read(raw).levels == ((20, "top"), (30, "leaf"))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 10,
        head(99),
        head(Kind.EXEC),
        head(Kind.EXEC) + b"\0" * 100,
        an_exec(b"", b"", b"", exe_class=9),
    ],
)
def test_other_bytes_are_refused_in_one_line(raw):
    with pytest.raises(records.RecordFault, match="run make bpf"):
        records.read(raw)


def test_the_clock_turns_boot_time_into_wall_time():
    now = Clock().wall(time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    assert abs(now - time.time_ns()) < 50_000_000

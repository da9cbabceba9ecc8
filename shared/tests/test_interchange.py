# SPDX-License-Identifier: Apache-2.0
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus.events import OPS, Event, as_record
from habitus.interchange import BadLine, GoodLine, read_lines, write_line

# The format's own example, key for key (docs/interchange.md).
EXAMPLE = {
    "ts": 1764000000000000000,
    "node": "n1",
    "class": "process",
    "op": "exec",
    "container": {
        "id": "ab" * 32,
        "name": "web",
        "image": "webapp:v1",
        "image_digest": "sha256:cd",
        "pod": {"name": "web-0", "namespace": "shop", "uid": "u-1"},
    },
    "process": {
        "pid": 41,
        "ppid": 1,
        "exe": "/usr/bin/java",
        "name": "java",
        "parent": "bash",
        "argv": ["java", "-jar", "app.jar"],
        "cwd": "/",
        "uid": 0,
        "ancestors": ["bash", "tini"],
    },
    "file": {"path": "/etc/shadow", "new_path": None, "flags": ["read"]},
    "network": {
        "direction": "egress",
        "protocol": "tcp",
        "remote_ip": "10.0.0.9",
        "remote_port": 5432,
        "local_port": 40112,
        "domain": "db.shop.svc",
    },
    "usage": {"cores": 1.5, "window_s": 5.0},
}


def lines_of(*objects: object) -> list[bytes]:
    return [json.dumps(one).encode() + b"\n" for one in objects]


def without(place: str) -> dict:
    copy = json.loads(json.dumps(EXAMPLE))
    *path, last = place.split(".")
    part = copy
    for key in path:
        part = part[key]
    del part[last]
    return copy


def test_the_documented_example_is_read_and_written_back():
    (line,) = read_lines(lines_of(EXAMPLE))
    assert isinstance(line, GoodLine)
    written = json.loads(write_line(line.event))
    del EXAMPLE["file"]["new_path"]  # absent or null are the same
    assert written == EXAMPLE


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (b"{not json", "byte"),
        (b"[]", "object"),
        (b"\x00\x01", "byte"),
        (json.dumps(without("container")).encode(), "container"),
        (json.dumps(without("container.image")).encode(), "container.image"),
        (json.dumps(without("ts")).encode(), "ts"),
        (json.dumps(without("process")).encode(), "process is missing"),
        (json.dumps(EXAMPLE | {"op": "dns"}).encode(), "op 'dns'"),
        (json.dumps(EXAMPLE | {"op": "dance"}).encode(), "$.op"),
        (json.dumps(EXAMPLE | {"ts": "yesterday"}).encode(), "$.ts"),
        (json.dumps(EXAMPLE | {"container": {"image": 7}}).encode(), "$.container.image"),
        (json.dumps(EXAMPLE | {"ts": 10**30}).encode(), "$.ts"),
        (json.dumps(EXAMPLE | {"process": {"name": "x", "pid": -(10**30)}}).encode(), "$.process.pid"),
        (b'{"a":' * 100_000, ""),
    ],
)
def test_a_bad_line_is_named_by_number_and_place_and_the_rest_is_kept(broken, named):
    good = json.dumps(EXAMPLE).encode()
    items = list(read_lines([good, b"\n", broken, good]))
    assert [item.number for item in items] == [1, 3, 4]
    assert isinstance(items[1], BadLine)
    assert named in items[1].reason
    assert items[1].reason.isprintable()
    assert isinstance(items[0], GoodLine)
    assert isinstance(items[2], GoodLine)


def test_bytes_that_are_not_utf8_are_kept_and_warned_of():
    raw = json.dumps(EXAMPLE).encode().replace(b"app.jar", b"app\xff.jar")
    (line,) = read_lines([raw])
    assert isinstance(line, GoodLine)
    assert line.event.process.argv[-1] == "app\\xff.jar"
    assert "not UTF-8" in line.warning


def test_an_id_in_the_file_is_not_believed():
    (line,) = read_lines(lines_of(EXAMPLE | {"id": "forged"}))
    assert line.event.id == ""


@given(st.binary(max_size=300))
def test_no_line_ever_raises(raw):
    for item in read_lines([raw]):
        assert isinstance(item, GoodLine | BadLine)


@given(st.lists(st.text(), max_size=5))
def test_hostile_argv_survives_a_round_trip(argv):
    (line,) = read_lines(lines_of(EXAMPLE))
    line.event.process.argv = argv
    (again,) = read_lines([write_line(line.event)])
    assert again.event.process.argv == argv


def test_every_op_belongs_to_one_class():
    for event_class, ops in OPS.items():
        for op in ops:
            record = EXAMPLE | {"class": event_class, "op": op}
            (line,) = read_lines(lines_of(record))
            assert isinstance(line, GoodLine)
            assert as_record(line.event)["op"] == op


@given(st.integers(-(2**63), 2**63 - 1))
def test_names_fall_back_to_exe_and_argv(pid):
    raw = {"ts": 1, "class": "process", "op": "exec", "container": {"image": "a"}}
    event = msgspec.convert(raw | {"process": {"pid": pid, "exe": "/usr/bin/java"}}, Event)
    assert event.process_name == "java"
    event = msgspec.convert(raw | {"process": {"pid": pid, "argv": ["./xmrig", "-o"]}}, Event)
    assert (event.process_name, event.parent_name) == ("xmrig", "")

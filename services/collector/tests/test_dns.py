# SPDX-License-Identifier: Apache-2.0
"""Messages of DNS, as resolvers send them and as an attacker can."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_collector import dns
from habitus_loopback import answer_to, question_of

HEADER = struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0)
TAIL = struct.pack(">HH", 1, 1)


def record(name: bytes, kind: int, data: bytes, live: int = 30) -> bytes:
    return name + struct.pack(">HHIH", kind, 1, live, len(data)) + data


def test_a_question_reads_as_asked():
    assert dns.parse(question_of("DB.shop.svc", 9)) == dns.Message(9, False, "db.shop.svc", [])


def test_an_answer_gives_its_addresses_whatever_aliases_lead_to_them():
    count = struct.pack(">HHHHHH", 7, 0x8180, 1, 3, 0, 0)
    question = b"\1a\1b\0" + TAIL
    answers = (
        record(b"\xc0\x0c", 5, b"\1c\xc0\x0e"),
        record(b"\1c\xc0\x0e", 1, bytes([10, 0, 0, 9])),
        record(b"\1c\xc0\x0e", 28, bytes(15) + b"\1", 5),
    )

    message = dns.parse(count + question + b"".join(answers))

    assert message == dns.Message(7, True, "a.b", [("10.0.0.9", 30), ("::1", 5)])


def test_an_answer_that_ends_early_gives_what_stands_before_the_end():
    count = struct.pack(">HHHHHH", 7, 0x8180, 1, 9, 0, 0)
    whole = count + b"\1a\0" + TAIL + record(b"\xc0\x0c", 1, bytes([1, 2, 3, 4])) * 2

    assert dns.parse(whole[:-1]).addresses == [("1.2.3.4", 30)]


@pytest.mark.parametrize(
    ("kind", "data"), [(1, b"\1\2\3"), (1, b"\1\2\3\4\5"), (28, b"\0" * 4), (16, b"\1\2\3\4"), (1, b"")]
)
def test_a_record_of_another_type_or_length_is_no_address(kind, data):
    assert dns.parse(HEADER + b"\1a\0" + TAIL + record(b"\xc0\x0c", kind, data)).addresses == []


def test_a_refusal_gives_no_address():
    refused = struct.pack(">HHHHHH", 7, 0x8183, 1, 1, 0, 0)

    assert dns.parse(refused + b"\1a\0" + TAIL + record(b"\xc0\x0c", 1, b"\1\2\3\4")).addresses == []


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c",  # to itself
        b"\xc0\x0e\xc0\x0c",  # forwards
        b"\1a\xc0\x0c",  # round in a circle
        b"\xff\xff",
        b"\x40a",  # a label type that never was used
        b"\x05ab",
        (b"\x3f" + b"a" * 63) * 4 + b"\0",  # longer than a name may be
        b"",
    ],
)
def test_names_that_loop_or_overrun_are_refused(name):
    assert dns.parse(HEADER + name) is None


def test_many_short_steps_backwards_end_at_the_longest_name():
    raw = bytearray(b"\0")
    for _ in range(200):
        raw += b"\1a" + (0xC000 | (len(raw) - 3 if len(raw) > 1 else 0)).to_bytes(2, "big")

    with pytest.raises(ValueError, match=r"^$"):
        dns.read_name(bytes(raw), len(raw) - 4)


@pytest.mark.parametrize(
    ("label", "text"),
    [(b"a.b", "a\\046b"), (b"\x1b[2J", "\\027\\0912j"), (b"\xff\0", "\\255\\000"), (b"_x-*", "_x-*")],
)
def test_no_byte_of_a_label_can_pass_for_anything_else(label, text):
    raw = HEADER + bytes([len(label)]) + label + b"\0" + TAIL

    assert dns.parse(raw).name == text


def test_the_root_has_a_name():
    assert dns.parse(HEADER + b"\0" + TAIL).name == "."


@given(st.binary(max_size=1300))
def test_any_bytes_are_a_message_or_none(raw):
    message = dns.parse(raw)

    assert message is None or len(message.addresses) <= dns.RECORDS_LIMIT


@given(st.binary(max_size=300), st.integers(0, 65535), st.integers(0, 400))
def test_any_bytes_after_a_header_and_any_damage_to_an_answer_are_borne(tail, answers, cut):
    header = struct.pack(">HHHHHH", 7, 0x8180, 1, answers, 0, 0)
    good = answer_to(question_of("a.example"), "10.0.0.9")

    for raw in (header + tail, header + b"\1a\0" + TAIL + tail, good[:cut] + tail, tail + good):
        message = dns.parse(raw)
        assert message is None or len(message.name) <= 4 * dns.NAME_BYTES


@given(
    st.lists(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20), min_size=1, max_size=8
    )
)
def test_a_name_comes_back_as_it_went(labels):
    name = ".".join(labels)

    assert dns.parse(question_of(name)).name == name

# SPDX-License-Identifier: Apache-2.0
import msgspec
import pytest

from habitus import wire
from habitus.embedding import EmbedRequest


def test_a_message_survives_the_wire():
    data = wire.encode(EmbedRequest(texts=["a", "b"]))
    assert wire.decode(EmbedRequest, data).texts == ["a", "b"]


@pytest.mark.parametrize("version", ["2.0", "", "0.9"])
def test_another_major_version_is_refused_by_its_number(version):
    data = msgspec.msgpack.encode({"schema": version, "texts": ["a"]})
    with pytest.raises(wire.WireFault, match="schema version"):
        wire.decode(EmbedRequest, data)


def test_a_newer_major_of_another_shape_is_refused_by_version_and_not_by_shape():
    data = msgspec.msgpack.encode({"schema": "9.1", "lines": 3})
    with pytest.raises(wire.WireFault, match=r"9\.1"):
        wire.decode(EmbedRequest, data)


def test_a_newer_minor_with_a_field_more_is_read():
    data = msgspec.msgpack.encode({"schema": "1.7", "texts": ["a"], "colour": "red"})
    assert wire.decode(EmbedRequest, data).texts == ["a"]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"hello", msgspec.msgpack.encode([1]), b"\x91" * 100_000])
def test_rubbish_is_refused_in_one_line(data):
    with pytest.raises(wire.WireFault) as fault:
        wire.decode(EmbedRequest, data)
    assert "\n" not in str(fault.value)

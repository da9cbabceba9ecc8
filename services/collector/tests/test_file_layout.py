# SPDX-License-Identifier: Apache-2.0
"""The file records that Python reads have the layout that the built object declares in its BTF."""

import pytest

from habitus_btf import btf_of, offsets
from habitus_collector import file_records, records

PATH_BYTES = 4096


@pytest.fixture(scope="module")
def btf():
    return btf_of("file.bpf.o")


def test_a_file(btf):
    size, members = btf.layout("file_record")

    fields = ("op", "flags", "repeats", "reserved", "value", "places")
    data = records.HEAD.size + file_records.FILE.size
    assert members == {"head": 0, **offsets(file_records.FILE, fields, records.HEAD.size), "data": data}
    assert size == data + 4 * PATH_BYTES


def test_a_place(btf):
    size, members = btf.layout("place")

    fields = ("walked_length", "walked_flags", "told_length", "told_flags")
    assert (size, members) == (file_records.PLACE.size, offsets(file_records.PLACE, fields))


def test_sums(btf):
    size, members = btf.layout("file_total_record")

    fields = ("first", "read", "written")
    assert members == {"head": 0, **offsets(file_records.TOTAL, fields, records.HEAD.size)}
    assert size == records.HEAD.size + file_records.TOTAL.size


def test_the_kinds(btf):
    assert btf.layout("file_kind")[1] == {
        "RECORD_FILE": file_records.KIND,
        "RECORD_FILE_TOTAL": file_records.KIND_TOTAL,
    }


@pytest.mark.parametrize(
    ("name", "prefix", "here"),
    [
        ("file_op", "FILE_OP_", file_records.FileOp),
        ("file_flag", "FILE_", file_records.FileFlag),
        ("told_flag", "TOLD_", file_records.ToldFlag),
    ],
)
def test_the_numbers(btf, name, prefix, here):
    _, values = btf.layout(name)

    assert values == {f"{prefix}{member.name}": member.value for member in here}

# SPDX-License-Identifier: Apache-2.0
"""The records that Python reads have the layout that the built object declares in its BTF."""

import ctypes
import re
import struct

import pytest

from habitus_collector import environment, libbpf, records

HEAD_FIELDS = ("time", "cgroup", "kind", "pid", "ppid", "uid", "comm", "parent")
EXEC_FIELDS = (
    "exe_length", "cwd_length", "argv_length", "ancestor_count",
    "exe_flags", "cwd_flags", "argv_flags", "reserved", "ancestors",
)  # fmt: skip


class Btf:
    """Types of an object file, by libbpf."""

    def __init__(self, path):
        self.lib = ctypes.CDLL("libbpf.so.1")
        self.lib.btf__parse_elf.restype = ctypes.c_void_p
        self.lib.btf__type_by_id.restype = ctypes.c_void_p
        self.lib.btf__type_by_id.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        self.lib.btf__name_by_offset.restype = ctypes.c_char_p
        self.lib.btf__name_by_offset.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        self.lib.btf__find_by_name.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.btf = self.lib.btf__parse_elf(str(path).encode(), None)
        assert self.btf

    def layout(self, name):
        """Return (size, {member: byte offset}) of a struct or, for an enum, {name: value}."""
        number = self.lib.btf__find_by_name(self.btf, name.encode())
        assert number > 0, f"{name} is not in the object"
        at = self.lib.btf__type_by_id(self.btf, number)
        _, info, size = struct.unpack("=III", ctypes.string_at(at, 12))
        is_enum = (info >> 24) & 0x1F == 6
        width = 8 if is_enum else 12
        members = {}
        for index in range(info & 0xFFFF):
            raw = ctypes.string_at(at + 12 + index * width, width)
            name_at, value = struct.unpack("=Ii" if is_enum else "=I4xI", raw)
            members[self.lib.btf__name_by_offset(self.btf, name_at).decode()] = (
                value if is_enum else value // 8
            )
        return size, members


@pytest.fixture(scope="module")
def btf():
    path = environment.objects_folder(None) / "process.bpf.o"
    if not path.is_file():
        pytest.skip(f"{path} is not built: run make bpf")
    if not libbpf.available():
        pytest.skip(libbpf.ADVICE)
    return Btf(path)


def offsets(form, fields, start=0):
    kinds = re.findall(r"\d*[A-Za-z]", form.format.removeprefix("="))
    codes = [
        code for kind in kinds for code in ([kind] if kind[-1] == "s" else [kind[-1]] * int(kind[:-1] or 1))
    ]
    assert len(codes) == len(fields)
    return {field: start + struct.calcsize("=" + "".join(codes[:at])) for at, field in enumerate(fields)}


def test_the_head(btf):
    size, members = btf.layout("record")

    assert (size, members) == (records.HEAD.size, offsets(records.HEAD, HEAD_FIELDS))


def test_an_exec(btf):
    size, members = btf.layout("exec_record")

    fields = offsets(records.EXEC, EXEC_FIELDS, records.HEAD.size)
    assert members == {"head": 0, **fields, "data": records.HEAD.size + records.EXEC.size}
    assert size == members["data"] + 4096 + 4096 + 16384


def test_an_exit(btf):
    _, members = btf.layout("exit_record")

    assert members == {"head": 0, **offsets(records.EXIT, ("code", "signal"), records.HEAD.size)}


def test_a_new_cgroup(btf):
    size, members = btf.layout("new_cgroup_record")

    fields = offsets(records.NEW_CGROUP, ("depth", "cut", "ids", "names"), records.HEAD.size)
    assert members == {"head": 0, **fields}
    assert size == records.HEAD.size + records.NEW_CGROUP.size


def test_the_settings(btf):
    size, members = btf.layout("settings")

    assert size == records.SETTINGS.size
    assert members == offsets(records.SETTINGS, ("loaded_at", "max_argv", "reserved"))


@pytest.mark.parametrize(
    ("name", "prefix", "here"),
    [
        ("record_kind", "RECORD_", records.Kind),
        ("path_flag", "PATH_", records.PathFlag),
        ("argv_flag", "ARGV_", records.ArgvFlag),
    ],
)
def test_the_numbers(btf, name, prefix, here):
    _, values = btf.layout(name)

    assert values == {f"{prefix}{member.name}": member.value for member in here}


def test_the_classes_of_losses(btf):
    _, values = btf.layout("loss_class")

    assert values.pop("LOSS_CLASSES") == len(records.LOSS_CLASSES)
    assert [name.removeprefix("LOSS_").lower() for name in values] == list(records.LOSS_CLASSES)

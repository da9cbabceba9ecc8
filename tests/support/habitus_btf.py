# SPDX-License-Identifier: Apache-2.0
"""Layouts that a built object declares in its BTF, and the same of a `struct.Struct`."""

import ctypes
import re
import struct

import pytest

from habitus_collector import environment, libbpf


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


def btf_of(name):
    """Return the types of a built object, or skip the test and say what is missing."""
    path = environment.objects_folder(None) / name
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

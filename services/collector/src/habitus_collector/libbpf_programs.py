# SPDX-License-Identifier: Apache-2.0
"""Programs of an object that are not simply loaded and attached: iterators, and optional ones."""

import ctypes
import errno
import os
from collections.abc import Iterator
from typing import Any, Final

_TRACEPOINT: Final = b"tp_btf/"
_TYPEDEF: Final = 8  # BTF_KIND_TYPEDEF
_ROOM: Final = 4096


def each(lib: Any, pointer: int) -> Iterator[int]:
    """Yield the programs of the object behind `pointer`."""
    program = lib.bpf_object__next_program(pointer, None)
    while program:
        yield program
        program = lib.bpf_object__next_program(pointer, program)


def sections(lib: Any, pointer: int) -> dict[str, bool]:
    """Return section → whether its program was loaded, for the object behind `pointer`."""
    names = ((lib.bpf_program__section_name(program).decode(), program) for program in each(lib, pointer))
    return {name: lib.bpf_program__fd(program) >= 0 for name, program in names}


def choose_optional(lib: Any, pointer: int) -> None:
    """Have those programs loaded whose section begins with `?` and whose tracepoint this kernel has.

    A tracepoint that was renamed has a program by each name.
    """
    optional = [program for program in each(lib, pointer) if not lib.bpf_program__autoload(program)]
    btf = lib.btf__load_vmlinux_btf() if optional else None
    if not btf:
        return
    try:
        for program in optional:
            tracepoint = lib.bpf_program__section_name(program).removeprefix(_TRACEPOINT)
            if lib.btf__find_by_name_kind(btf, b"btf_trace_" + tracepoint, _TYPEDEF) > 0:
                lib.bpf_program__set_autoload(program, True)  # C has no keywords
    finally:
        lib.btf__free(btf)


def run_iterator(lib: Any, program: int) -> int:
    """Run an iterator once, to its end; nothing stays attached. Return 0, or an errno below 0."""
    link = lib.bpf_program__attach_iter(program, None)
    if not link:
        return -ctypes.get_errno() or -errno.EINVAL
    try:
        seat: int = lib.bpf_iter_create(lib.bpf_link__fd(link))
        if seat < 0:
            return seat
        try:
            while os.read(seat, _ROOM):
                pass
        finally:
            os.close(seat)
    except OSError as error:
        return -(error.errno or errno.EIO)
    finally:
        lib.bpf_link__destroy(link)
    return 0

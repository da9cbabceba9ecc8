# SPDX-License-Identifier: Apache-2.0
"""Programs of an object that are not simply loaded and attached: iterators, and optional ones."""

import ctypes
import errno
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

_TYPEDEF: Final = 8  # BTF_KIND_TYPEDEF
_FUNC: Final = 12  # BTF_KIND_FUNC
_TARGETS: Final = {b"tp_btf": (b"btf_trace_", _TYPEDEF), b"fentry": (b"", _FUNC), b"fexit": (b"", _FUNC)}
"""Kind of program → how what it hangs on is called in the kernel's BTF, and of which kind it is there."""
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


def names(lib: Any, pointer: int) -> list[str]:
    """Return the names of the programs of the object behind `pointer`, loaded or not."""
    return [lib.bpf_program__name(program).decode() for program in each(lib, pointer)]


def missed(descriptor: int) -> int:
    """Return how often the kernel skipped a loaded program because it was still running on that CPU."""
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "recursion_misses":
            return int(value)
    return 0


def choose_optional(lib: Any, pointer: int, settled: Collection[str]) -> None:
    """Have those programs loaded whose section begins with `?` and whose hook this kernel has.

    A tracepoint that was renamed has a program by each name. Those of the names in `settled` were left
    out by whoever opened the object.
    """
    optional = [
        program
        for program in each(lib, pointer)
        if not lib.bpf_program__autoload(program) and lib.bpf_program__name(program).decode() not in settled
    ]
    btf = lib.btf__load_vmlinux_btf() if optional else None
    if not btf:
        return
    try:
        for program in optional:
            kind, _, name = lib.bpf_program__section_name(program).partition(b"/")
            prefix, number = _TARGETS.get(kind, (b"", 0))
            if number and lib.btf__find_by_name_kind(btf, prefix + name, number) > 0:
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

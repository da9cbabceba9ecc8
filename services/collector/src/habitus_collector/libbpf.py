# SPDX-License-Identifier: Apache-2.0
"""A thin binding on libbpf.so.1: open, set constants, load, attach, maps. Nothing else."""

import contextlib
import ctypes
import ctypes.util
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from habitus_collector import libbpf_programs
from habitus_collector.libbpf_functions import POINTER, SIGNATURES, Print

_NAME: Final = "libbpf.so.1"
ADVICE: Final = f"{_NAME} is missing: apt-get install libbpf1"
_WARN: Final = 0
_OWN_ERRORS: Final = 4000
_GONE_OVER_TO: Final = "then_"
"""Names of programs that others go over to begin so: they are loaded, and attached nowhere."""
_VA_LIST: Final = 32  # bytes that hold a va_list of x86-64 (24) and of arm64 (32)


class LibbpfFault(RuntimeError):
    """What libbpf or the kernel refused; one line. `log` holds all that libbpf said of it."""

    def __init__(self, text: str, log: str = "") -> None:
        super().__init__(text)
        self.log = log


class Libbpf:
    """The loaded library. Its own words are kept, not printed."""

    def __init__(self) -> None:
        try:
            self.lib = ctypes.CDLL(_NAME, use_errno=True)
        except OSError:
            raise LibbpfFault(ADVICE) from None
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self._libc = ctypes.CDLL(None)
        self._libc.vsnprintf.argtypes = [POINTER, ctypes.c_size_t, ctypes.c_char_p, POINTER]
        self._said: list[str] = []
        self._print = Print(self._listen)  # kept: the library calls it until the end
        self.lib.libbpf_set_print(self._print)

    def _listen(self, level: int, template: bytes, values: int) -> int:
        if level == _WARN:
            # The verifier's log comes as one message of any length, and its end is what counts.
            # A va_list can be read once: the length is asked of a copy.
            copy = ctypes.create_string_buffer(ctypes.string_at(values, _VA_LIST))
            length = self._libc.vsnprintf(None, 0, template, copy)
            text = ctypes.create_string_buffer(length + 1)
            self._libc.vsnprintf(text, length + 1, template, values)
            self._said.append(text.value.decode("utf-8", "backslashreplace").strip())
        return 0

    def fault(self, what: str, code: int | None = None) -> LibbpfFault:
        """Say what failed, why, and the last thing that libbpf said before."""
        code = abs(code) if code else ctypes.get_errno()
        said, self._said = self._said, []
        # libbpf has numbers of its own from 4000 on.
        why = os.strerror(code) if 0 < code < _OWN_ERRORS else "libbpf refuses it"
        hint = _last_word(said)
        return LibbpfFault(f"{what}: {why}{f' ({hint})' if hint else ''}", "\n".join(said))

    def done(self, code: int, what: str) -> int:
        """Return `code`, or raise when it is an errno."""
        if code < 0:
            raise self.fault(what, code)
        return code

    def detach(self, link: int) -> None:
        """End one link; the program stays loaded."""
        self.lib.bpf_link__destroy(link)

    def cpus(self) -> int:
        """Return the number of possible CPUs: values that a per-CPU map has."""
        return self.done(self.lib.libbpf_num_possible_cpus(), "counting CPUs")


def _last_word(said: list[str]) -> str:
    lines = [line for text in said for line in text.splitlines()]
    # The verifier's complaint stands just before its statistics.
    for index, line in enumerate(lines):
        if line.startswith("processed ") and index:
            return lines[index - 1].strip()
    plain = [line.removeprefix("libbpf: ").strip() for line in lines if line.startswith("libbpf: ")]
    return plain[0] if plain else ""


class Map:
    """One map by its raw bytes."""

    def __init__(self, library: Libbpf, pointer: int, name: str) -> None:
        lib = library.lib
        self._library = library
        self.name = name
        self.fd: int = lib.bpf_map__fd(pointer)
        self.key_size: int = lib.bpf_map__key_size(pointer)
        self.value_size: int = lib.bpf_map__value_size(pointer)
        self.entries: int = lib.bpf_map__max_entries(pointer)

    def update(self, key: bytes, value: bytes) -> None:
        """Set one entry.

        Raises:
            LibbpfFault: the map is full.
        """
        code = self._library.lib.bpf_map_update_elem(self.fd, key, value, 0)
        self._library.done(code, f"map {self.name}")

    def delete(self, key: bytes) -> None:
        """Remove one entry; none there is no fault."""
        code = self._library.lib.bpf_map_delete_elem(self.fd, key)
        if code != -errno.ENOENT:
            self._library.done(code, f"map {self.name}")

    def lookup(self, key: bytes, values: int = 1) -> bytes | None:
        """Return the value, or None. A per-CPU map has `values` values, each padded to 8 bytes."""
        room = ctypes.create_string_buffer(self._rounded(values))
        code = self._library.lib.bpf_map_lookup_elem(self.fd, key, room)
        if code == -errno.ENOENT:
            return None
        self._library.done(code, f"map {self.name}")
        return room.raw

    def keys(self) -> Iterator[bytes]:
        """Yield the keys; one that is removed meanwhile may end the walk early."""
        key: bytes | None = None
        room = ctypes.create_string_buffer(self.key_size)
        while self._library.lib.bpf_map_get_next_key(self.fd, key, room) == 0:
            key = room.raw
            yield key

    def _rounded(self, values: int) -> int:
        return self.value_size if values == 1 else (self.value_size + 7) // 8 * 8 * values


class BpfObject:
    """One built object: constants first, then `load`, then `attach`."""

    def __init__(self, library: Libbpf, path: Path) -> None:
        self._library = library
        self._name = path.name
        self._links: list[int] = []
        self._settled: set[str] = set()
        self._for_cgroups: dict[str, int] = {}
        self.programs: dict[str, int] = {}
        """Loaded programs: name → file descriptor."""
        self._pointer: int | None = library.lib.bpf_object__open_file(os.fsencode(path), None)
        if not self._pointer:
            raise library.fault(f"{path.name} cannot be opened")

    def set_constants(self, section: str, value: bytes) -> None:
        """Fill a read-only section, such as `.rodata.settings`, with the bytes of its struct."""
        pointer = self._map_pointer(section)
        code = self._library.lib.bpf_map__set_initial_value(pointer, value, len(value))
        self._library.done(code, f"{self._name}: section {section}")

    def names(self) -> list[str]:
        """Return the names of its programs, loaded or not."""
        return libbpf_programs.names(self._library.lib, self._pointer or 0)

    def leave_out(self, program: str) -> None:
        """Do not load this program."""
        self._autoload(program, wanted=False)

    def take_in(self, program: str) -> None:
        """Load this program, though its section begins with `?`, and no other such that is not asked for."""
        self._settled.update(self.names())
        self._autoload(program, wanted=True)

    def _autoload(self, program: str, *, wanted: bool) -> None:
        self._settled.add(program)
        pointer = self._library.lib.bpf_object__find_program_by_name(self._pointer, program.encode())
        code = self._library.lib.bpf_program__set_autoload(pointer, wanted) if pointer else -errno.ENOENT
        self._library.done(code, f"{self._name}: program {program}")

    def resize(self, name: str, entries: int) -> None:
        """Give a map another size (a ring buffer's is in bytes, a power of two) before it is loaded."""
        code = self._library.lib.bpf_map__set_max_entries(self._map_pointer(name), entries)
        self._library.done(code, f"{self._name}: map {name}")

    def share(self, maps: Mapping[str, Map]) -> None:
        """Use maps of an object that is loaded already where this one has the same names."""
        for name, shared in maps.items():
            pointer = self._library.lib.bpf_object__find_map_by_name(self._pointer, name.encode())
            if pointer:
                code = self._library.lib.bpf_map__reuse_fd(pointer, shared.fd)
                self._library.done(code, f"{self._name}: map {name}")

    def load(self) -> None:
        """Have the kernel check and take every program.

        Raises:
            LibbpfFault: it refused; the text ends with the verifier's complaint.
        """
        assert self._pointer  # noqa: S101  # not closed
        libbpf_programs.choose_optional(self._library.lib, self._pointer, self._settled)
        code = self._library.lib.bpf_object__load(self._pointer)
        self._library.done(code, f"{self._name} does not load")

    def sections(self) -> dict[str, bool]:
        """Return what its programs hang on, by their sections, and whether each was loaded."""
        return libbpf_programs.sections(self._library.lib, self._pointer or 0)

    def iterate(self) -> None:
        """Run its programs, which are iterators, once.

        Raises:
            LibbpfFault: the kernel refuses one.
        """
        assert self._pointer  # noqa: S101
        for program in libbpf_programs.each(self._library.lib, self._pointer):
            code = libbpf_programs.run_iterator(self._library.lib, program)
            self._library.done(code, f"{self._name} does not run")

    def attach(self) -> None:
        """Attach every program to what its section names, once; those for cgroups wait for one."""
        lib = self._library.lib
        if self.programs:
            return
        for program in libbpf_programs.each(lib, self._pointer or 0):
            self._attach(program, lib.bpf_program__name(program).decode())

    def _attach(self, program: int, name: str) -> None:
        lib = self._library.lib
        descriptor = lib.bpf_program__fd(program)
        if descriptor < 0 or name.startswith(_GONE_OVER_TO):
            return  # left out, or run by others
        if lib.bpf_program__section_name(program).startswith(b"cgroup"):
            self._for_cgroups[name] = program
        else:
            self._links.append(self._linked(lib.bpf_program__attach(program), name))
        self.programs[name] = descriptor

    @property
    def has_cgroup_programs(self) -> bool:
        """Whether programs wait for a cgroup."""
        return bool(self._for_cgroups)

    def attach_to_cgroup(self, folder: int, links: list[int]) -> None:
        """Attach the programs for cgroups to the one behind the descriptor `folder`; add their links.

        A link stands beside what others attached there, and ends with this process.

        Raises:
            LibbpfFault: the kernel refused one; those before it stay, in `links`.
        """
        for name, program in self._for_cgroups.items():
            links.append(self._linked(self._library.lib.bpf_program__attach_cgroup(program, folder), name))

    def _linked(self, link: int | None, name: str) -> int:
        if not link:
            raise self._library.fault(f"{self._name}: {name} does not attach")
        return link

    def missed(self) -> int:
        """Return how often the kernel skipped a program that was still running on that CPU."""
        return sum(map(libbpf_programs.missed, self.programs.values()))

    def has_map(self, name: str) -> bool:
        """Say whether there is a map of this name."""
        return bool(self._library.lib.bpf_object__find_map_by_name(self._pointer, name.encode()))

    def map(self, name: str) -> Map:
        """Return a map of the loaded object."""
        return Map(self._library, self._map_pointer(name), name)

    def close(self) -> None:
        """Detach and unload; safe to call twice."""
        while self._links:
            self._library.detach(self._links.pop())
        if self._pointer:
            self._library.lib.bpf_object__close(self._pointer)
            self._pointer = None

    def _map_pointer(self, name: str) -> int:
        pointer: int | None = self._library.lib.bpf_object__find_map_by_name(self._pointer, name.encode())
        if not pointer:
            raise LibbpfFault(f"{self._name} has no map {name}: built from other sources? run make bpf")
        return pointer


def version() -> tuple[int, int]:
    """Return the library's version, such as (1, 5); (0, 0) where there is none."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_NAME)
        return library.libbpf_major_version(), library.libbpf_minor_version()
    return 0, 0


def available() -> bool:
    """Say whether the library can be loaded."""
    with contextlib.suppress(OSError):
        ctypes.CDLL(_NAME)
        return True
    return False

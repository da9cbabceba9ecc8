# SPDX-License-Identifier: Apache-2.0
"""Runs under the system's own Python, which has Debian's `bcc`: compiles, attaches, passes records on.

Nothing of Habitus is imported here, and the collector imports nothing of this. Standard input brings
lines of JSON: first the settings, then the cgroups; standard output takes frames: a kind, a length,
that many bytes.
"""

import ctypes
import importlib
import json
import os
import platform
import selectors
import struct
import sys
import time
from pathlib import Path
from typing import Any, Final

FRAME: Final = struct.Struct("=II")
SAYS, RECORD, LOST = 0, 1, 2
POLL_MS: Final = 20
PAGES: Final = {"process": 128, "file": 128, "network": 32, "container": 16}  # of a CPU's buffer
ARGV_BYTES: Final = 4096  # a power of two: the verifier takes a mask for a bound
TIME: Final = struct.Struct("=Q")
LOSS: Final = struct.Struct("=IQ")
CLASSES: Final = ("process", "file", "network", "container")  # as the collector numbers them
_NONE: Final = -2  # a call that this processor's kernels do not have

CALLS: Final = {
    "x86_64": {
        "OPEN": 2, "OPENAT": 257, "OPENAT2": 437, "CREAT": 85, "UNLINK": 87, "RMDIR": 84, "UNLINKAT": 263,
        "RENAME": 82, "RENAMEAT": 264, "RENAMEAT2": 316, "ACCEPT": 43, "ACCEPT4": 288,
    },
    "aarch64": {
        "OPEN": _NONE, "OPENAT": 56, "OPENAT2": 437, "CREAT": _NONE, "UNLINK": _NONE, "RMDIR": _NONE,
        "UNLINKAT": 35, "RENAME": _NONE, "RENAMEAT": 38, "RENAMEAT2": 276, "ACCEPT": 202, "ACCEPT4": 242,
    },
}  # fmt: skip
REGISTERS: Final = {
    "x86_64": ("orig_ax", "di", "si", "dx", "r10"),
    "aarch64": ("syscallno", "orig_x0", "regs[1]", "regs[2]", "regs[3]"),
}


class Pipe:
    """The way to the collector. Records of one look are sorted by time: each CPU has a buffer of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._records: list[bytes] = []

    def send(self, kind: int, payload: bytes) -> None:
        """Write one frame, however long that takes."""
        data = memoryview(FRAME.pack(kind, len(payload)) + payload)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def take(self, raw: bytes) -> None:
        """Keep a record until `flush`."""
        self._records.append(raw)

    def flush(self) -> None:
        """Send what was taken."""
        records, self._records = self._records, []
        for raw in sorted(records, key=lambda raw: int(TIME.unpack_from(raw)[0])):
            self.send(RECORD, raw)


def text_of(settings: dict[str, Any], machine: str) -> str:
    """Return the C text: what only this machine and these settings tell, then the two files."""
    defines: dict[str, object] = {f"CALL_{name}": number for name, number in CALLS[machine].items()}
    defines["REGISTER_OF_CALL"], *arguments = REGISTERS[machine]
    defines.update({f"ARGUMENT_{at}": name for at, name in enumerate(arguments, 1)})
    one_of = " || ".join(f"(call) == {number}" for number in CALLS[machine].values())
    defines["NAMED(call)"] = f"({one_of})"
    defines["LOADED_AT"] = f"{time.clock_gettime_ns(time.CLOCK_MONOTONIC)}ULL"
    defines["ARGV_BYTES"] = ARGV_BYTES
    defines["ARGV_LIMIT"] = min(settings["argv_bytes"], ARGV_BYTES - 1)
    for name in ("file", "network"):
        defines[f"WATCH_{name.upper()}"] = int(name in settings["sensors"])
    here = Path(__file__).parent
    head = [f"#define {name} {value}" for name, value in defines.items()]
    return "\n".join([*head, (here / "common.c").read_text(), (here / "programs.c").read_text()])


def sort(programs: Any, line: dict[str, list[int]]) -> None:
    """Do what a line says.

    `target`: [cgroup, root, ignored], or [cgroup] to forget it; `arrived`: [pid, cgroup], a process that
    was listed counts as one that was seen to start.
    """
    (name, (number, *values)), *_ = line.items()
    table = programs[{"target": "targets", "arrived": "arrived"}[name]]
    key = table.Key(number)
    if values:
        table[key] = table.Leaf(*values)
    elif key in table:
        del table[key]


def lines_of(rest: bytes) -> tuple[list[Any] | None, bytes]:
    """Return the whole lines that wait, and what is left of the next; None for the lines at the end."""
    data = os.read(0, 1 << 16)
    if not data:
        return None, b""
    *lines, rest = (rest + data).split(b"\n")
    return [json.loads(line) for line in lines], rest


def compiled(first: bytes) -> Any:
    """Return the loaded and attached programs, as bcc's own object."""
    machine = platform.machine()
    if machine not in CALLS:
        raise RuntimeError(f"the system calls of {machine} are not known")
    bcc = importlib.import_module("bcc")
    return bcc.BPF(text=text_of(json.loads(first), machine), cflags=["-Wno-everything"])


def main() -> int:
    """Speak with the collector until it closes the pipe."""
    pipe = Pipe(os.dup(1))
    os.dup2(2, 1)  # what bcc and clang print must not run into the frames
    first, rest = _first_line()
    try:
        programs = compiled(first)
    except Exception as error:  # noqa: BLE001  # whatever it is, the collector says it in one line
        lines = str(error).strip().splitlines() or [repr(error)]
        pipe.send(SAYS, json.dumps({"fault": lines[-1]}).encode())
        return 1
    for number, name in enumerate(CLASSES):
        programs[f"out_{name}"].open_perf_buffer(
            lambda _, data, size: pipe.take(ctypes.string_at(data, size)),
            page_cnt=PAGES[name],
            lost_cb=lambda count, number=number: pipe.send(LOST, LOSS.pack(number, count)),
        )
    hooks = sorted(name.decode() for name in programs.raw_tracepoint_fds)
    pipe.send(SAYS, json.dumps({"hooks": hooks}).encode())
    serve(programs, pipe, rest)
    return 0


def _first_line() -> tuple[bytes, bytes]:
    data = b""
    while b"\n" not in data:
        data += os.read(0, 1 << 16) or b"\n"
    first, _, rest = data.partition(b"\n")
    return first, rest


def serve(programs: Any, pipe: Pipe, rest: bytes) -> None:
    """Pass records on and take cgroups in, until the collector closes the pipe."""
    waiting = selectors.DefaultSelector()
    waiting.register(0, selectors.EVENT_READ)
    while True:
        while waiting.select(0):
            lines, rest = lines_of(rest)
            if lines is None:
                return
            for line in lines:
                sort(programs, line)
        programs.perf_buffer_poll(POLL_MS)
        pipe.flush()


if __name__ == "__main__":
    sys.exit(main())

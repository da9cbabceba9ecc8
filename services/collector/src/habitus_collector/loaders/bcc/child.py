# SPDX-License-Identifier: Apache-2.0
"""Runs under the system's own Python, which has Debian's `bcc`: compiles, attaches, passes records on.

Nothing of Habitus is imported here, and the collector imports nothing of this. Standard input brings
lines of JSON: first the settings, then the cgroups; standard output takes frames (records.FRAME):
a kind, a length, that many bytes.
"""

import ctypes
import json
import os
import platform
import selectors
import struct
import sys
import time

FRAME = struct.Struct("=II")
SAYS, RECORD, LOST = 0, 1, 2
POLL_MS = 20
PAGES = 64  # of a CPU's buffer
ARGV_BYTES = 4096  # a power of two: the verifier takes a mask for a bound
TIME = struct.Struct("=Q")
TARGET = struct.Struct("=QQ")

CALLS = {
    "x86_64": {
        "OPEN": 2, "OPENAT": 257, "OPENAT2": 437, "CREAT": 85, "UNLINK": 87, "RMDIR": 84, "UNLINKAT": 263,
        "RENAME": 82, "RENAMEAT": 264, "RENAMEAT2": 316, "ACCEPT": 43, "ACCEPT4": 288,
    },
    "aarch64": {
        "OPEN": -2, "OPENAT": 56, "OPENAT2": 437, "CREAT": -2, "UNLINK": -2, "RMDIR": -2, "UNLINKAT": 35,
        "RENAME": -2, "RENAMEAT": 38, "RENAMEAT2": 276, "ACCEPT": 202, "ACCEPT4": 242,
    },
}  # fmt: skip
REGISTERS = {
    "x86_64": ("orig_ax", "di", "si", "dx", "r10"),
    "aarch64": ("syscallno", "orig_x0", "regs[1]", "regs[2]", "regs[3]"),
}


class Pipe:
    """The way to the collector. Records of one look are sorted by time: each CPU has a buffer of its own."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._records = []

    def send(self, kind, payload):
        data = memoryview(FRAME.pack(kind, len(payload)) + payload)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def take(self, raw):
        self._records.append(raw)

    def flush(self):
        records, self._records = self._records, []
        for raw in sorted(records, key=lambda raw: TIME.unpack_from(raw)[0]):
            self.send(RECORD, raw)


def text_of(settings, machine):
    """Return the C text: what only this machine and these settings tell, then the two files."""
    defines = {f"NR_{name}": number for name, number in CALLS[machine].items()}
    defines["CALL_NUMBER"], *arguments = REGISTERS[machine]
    defines.update({f"ARGUMENT_{at}": name for at, name in enumerate(arguments, 1)})
    defines["LOADED_AT"] = f"{time.clock_gettime_ns(time.CLOCK_MONOTONIC)}ULL"
    defines["ARGV_BYTES"] = ARGV_BYTES
    defines["ARGV_LIMIT"] = min(settings["argv_bytes"], ARGV_BYTES - 1)
    defines["NAMED(call)"] = " || ".join(f"(call) == {number}" for number in CALLS[machine].values())
    defines.update(
        {f"WATCH_{name.upper()}": int(name in settings["sensors"]) for name in ("file", "network")}
    )
    head = [f"#define {name} {value}" for name, value in defines.items()]
    here = os.path.dirname(os.path.abspath(__file__))
    for name in ("common.c", "programs.c"):
        with open(os.path.join(here, name), encoding="utf-8") as handle:
            head.append(handle.read())
    return "\n".join(head)


def sort(targets, line):
    """Put one cgroup where the line says: [id, root, ignored], or [id] to forget it."""
    key, *rest = line
    key = targets.Key(key)
    if rest:
        targets[key] = targets.Leaf(*rest)
    elif key in targets:
        del targets[key]


def lines_of(descriptor, rest):
    """Return the whole lines that wait, and what is left of the next; None for the lines at the end."""
    data = os.read(descriptor, 1 << 16)
    if not data:
        return None, b""
    *lines, rest = (rest + data).split(b"\n")
    return [json.loads(line) for line in lines], rest


def main():
    pipe = Pipe(os.dup(1))
    os.dup2(2, 1)  # what bcc and clang print goes to the log
    machine = platform.machine()
    settings = json.loads(sys.stdin.buffer.raw.readline())
    try:
        if machine not in CALLS:
            raise RuntimeError(f"the loader bcc knows no system calls of {machine}")
        from bcc import BPF

        programs = BPF(text=text_of(settings, machine), cflags=["-Wno-everything"])
    except Exception as error:  # noqa: BLE001  # whatever it is, the collector says it in one line
        lines = str(error).strip().splitlines() or [repr(error)]
        pipe.send(SAYS, json.dumps({"fault": lines[-1]}).encode())
        return 1
    out = programs["out"]
    out.open_perf_buffer(
        lambda _, data, size: pipe.take(ctypes.string_at(data, size)),
        page_cnt=PAGES,
        lost_cb=lambda count: pipe.send(LOST, TIME.pack(count)),
    )
    hooks = sorted(name.decode() for name in programs.raw_tracepoint_fds)
    pipe.send(SAYS, json.dumps({"hooks": hooks}).encode())
    serve(programs, pipe)
    return 0


def serve(programs, pipe):
    """Pass records on and take cgroups in, until the collector closes the pipe."""
    targets = programs["targets"]
    waiting = selectors.DefaultSelector()
    waiting.register(0, selectors.EVENT_READ)
    rest = b""
    while True:
        while waiting.select(0):
            lines, rest = lines_of(0, rest)
            if lines is None:
                return
            for line in lines:
                sort(targets, line)
        programs.perf_buffer_poll(POLL_MS)
        pipe.flush()


if __name__ == "__main__":
    raise SystemExit(main())

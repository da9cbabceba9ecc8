# SPDX-License-Identifier: Apache-2.0
"""One ring buffer for all classes of events, or one for each? `make bench-rings`.

Two CPUs write records at once (BPF_PROG_TEST_RUN): both into one ring, then each into its own. One CPU alone
is the floor. Figures are nanoseconds a record, medians over rounds.
"""

import argparse
import ctypes
import os
import statistics
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from habitus_bench import figures
from habitus_collector.libbpf import BpfObject, Libbpf

_SOURCE: Final = Path(__file__).with_name("rings.bpf.c")
_RECORDS: Final = 200_000
_PACKET: Final = 64


class _Options(ctypes.Structure):
    """struct bpf_test_run_opts of libbpf 1.x."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("data_in", ctypes.c_void_p),
        ("data_out", ctypes.c_void_p),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_void_p),
        ("ctx_out", ctypes.c_void_p),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("repeat", ctypes.c_int),
        ("duration", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
    )


def _run(library: Libbpf, program: int, cpu: int) -> float:
    os.sched_setaffinity(0, {cpu})  # of this thread alone
    packet = ctypes.create_string_buffer(_PACKET)
    options = _Options(
        sz=ctypes.sizeof(_Options), data_in=ctypes.addressof(packet), data_size_in=_PACKET, repeat=_RECORDS
    )
    code = library.lib.bpf_prog_test_run_opts(program, ctypes.byref(options))
    library.done(code, "BPF_PROG_TEST_RUN")
    return float(options.duration)


def _round(built: Path, names: list[bytes]) -> float:
    library = Libbpf()
    loaded = BpfObject(library, built)
    try:
        loaded.load()
        pointers = [library.lib.bpf_object__find_program_by_name(loaded._pointer, name) for name in names]
        found = [library.lib.bpf_program__fd(pointer) for pointer in pointers]
        with ThreadPoolExecutor(len(found)) as pool:
            work = [pool.submit(_run, library, program, cpu) for cpu, program in enumerate(found)]
            return statistics.mean(each.result() for each in work)
    finally:
        loaded.close()


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench-rings", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("build/bench/rings.json"))
    arguments = parser.parse_args()
    subjects = {
        "rings.alone_ns": [b"into_first"],
        "rings.one_for_all_ns": [b"into_first", b"into_first"],
        "rings.one_each_ns": [b"into_first", b"into_second"],
    }
    readings: dict[str, list[float]] = {name: [] for name in subjects}
    with tempfile.TemporaryDirectory(prefix="habitus-bench-") as folder:
        built = Path(folder) / "rings.bpf.o"
        machine = os.uname().machine
        command = ["clang-19", "-target", "bpf", "-O2", "-g", f"-I/usr/include/{machine}-linux-gnu"]
        subprocess.run([*command, "-c", str(_SOURCE), "-o", str(built)], check=True)
        for _ in range(arguments.rounds):
            for name, programs in subjects.items():
                readings[name].append(_round(built, programs))
    found = {name: statistics.median(values) for name, values in readings.items()}
    figures.table(found)
    figures.write(arguments.out, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

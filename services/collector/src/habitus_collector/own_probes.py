# SPDX-License-Identifier: Apache-2.0
"""Hooks that `doctor` tries on what is its own: a function of this process, an interface of a child's.

`python -m habitus_collector.own_probes FOLDER` is that child: its network namespace ends with it, so the
interface does, too, however it ends.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from habitus_collector.libbpf import Libbpf, LibbpfFault

OBJECT: Final = "probe.bpf.o"
MODES: Final = {"native": 1 << 2, "generic": 1 << 1}
"""Mode of XDP → its flag, XDP_FLAGS_DRV_MODE and XDP_FLAGS_SKB_MODE of <linux/if_link.h>."""
_CLONE_NEWNET: Final = 0x40000000
_ENDS_S: Final = 60.0  # an emulated machine with other work took more than 20 s


def uprobe(folder: Path) -> str:
    """Attach a program to a function of libbpf here, and let go. Return what was refused, or ""."""
    library = Libbpf()
    try:
        with _loaded(library, folder, "probe_uprobe") as program:
            path, offset = _place_of(library.lib.libbpf_version_string)
            link = library.lib.bpf_program__attach_uprobe(program, False, 0, os.fsencode(path), offset)
            if not link:
                raise library.fault("uprobe does not attach")
            library.detach(link)
    except LibbpfFault as fault:
        return str(fault)
    return ""


def xdp(folder: Path) -> dict[str, str]:
    """Attach a program to a scratch pair of veth. Return mode → what was refused, or ""."""
    command = [sys.executable, "-m", __spec__.name, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ENDS_S, check=False)
        answer: dict[str, str] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return dict.fromkeys(MODES, f"no answer within {_ENDS_S:g} s")
    except ValueError:
        return dict.fromkeys(MODES, (done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return answer


def main(folder: Path) -> int:
    """Try each mode and write what became of it."""
    from pyroute2 import IPRoute  # noqa: PLC0415  # a large library, and only this child needs it

    library = Libbpf()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace")
    with IPRoute() as route:
        route.link("add", ifname="habitus0", kind="veth", peer="habitus1")
        (interface,) = route.link_lookup(ifname="habitus0")
        said = {mode: _xdp(library, folder, interface, flag) for mode, flag in MODES.items()}
    sys.stdout.write(json.dumps(said))
    return 0


def _xdp(library: Libbpf, folder: Path, interface: int, flag: int) -> str:
    try:
        with _loaded(library, folder, "probe_xdp") as program:
            descriptor = library.lib.bpf_program__fd(program)
            library.done(library.lib.bpf_xdp_attach(interface, descriptor, flag, None), "XDP does not attach")
            library.lib.bpf_xdp_attach(interface, -1, flag, None)
    except LibbpfFault as fault:
        return str(fault)
    return ""


@contextmanager
def _loaded(library: Libbpf, folder: Path, name: str) -> Iterator[int]:
    """Give a pointer to one loaded program of the object of probes."""
    lib = library.lib
    opened = lib.bpf_object__open_file(os.fsencode(folder / OBJECT), None)
    if not opened:
        raise library.fault(f"{OBJECT} cannot be opened")
    try:
        program = lib.bpf_object__find_program_by_name(opened, name.encode())
        if not program:
            raise LibbpfFault(f"{OBJECT} has no program {name}: built from other sources? run make bpf")
        lib.bpf_program__set_autoload(program, True)  # C has no keywords
        library.done(lib.bpf_object__load(opened), f"{name} does not load")
        yield program
    finally:
        lib.bpf_object__close(opened)


def _place_of(function: object) -> tuple[str, int]:
    """Return (file, offset) of a function that is mapped into this process."""
    address = ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]  # a function pointer
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, offset, *_, path = line.split(maxsplit=5)
        start, end = (int(number, 16) for number in span.split("-"))
        if start <= address < end:
            return path, address - start + int(offset, 16)
    raise LibbpfFault("a function of libbpf is nowhere in /proc/self/maps")


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))

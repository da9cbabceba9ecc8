# SPDX-License-Identifier: Apache-2.0
"""What this kernel says when it is asked: programs are loaded, those of the probes attached, too."""

import ctypes
import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from habitus_collector.kernel import SHARED, constants_of
from habitus_collector.libbpf import BpfObject, Libbpf, LibbpfFault, Map
from habitus_collector.sensors import Sensor

OBJECT: Final = "probe.bpf.o"
HOOKS: Final = {"fentry": "probe_fentry", "BPF LSM": "probe_lsm", "kprobe": "probe_kprobe"}
"""Kind of hook → the program of bpf/probe.bpf.c that tries it."""

# Numbers of system calls, the same on every architecture; of security modules, <linux/lsm.h>.
_IO_URING_SETUP: Final = 425
_LSM_LIST_MODULES: Final = 461
_LSM_NAMES: Final = (
    *("capability", "selinux", "smack", "tomoyo", "apparmor", "yama", "loadpin", "safesetid"),
    *("lockdown", "bpf", "landlock", "ima", "evm", "ipe"),
)
_FIRST_LSM: Final = 100
_LSM_ROOM: Final = 64


@dataclass
class Loaded:
    """How one object of a sensor fared. `fault`: what the verifier, or libbpf, said last."""

    fault: str = ""
    hooks: list[str] = field(default_factory=list)
    """Sections of the programs that are loaded, such as `tp_btf/sched_process_exec`."""
    left_out: list[str] = field(default_factory=list)
    """Those of the programs that this kernel cannot take, or has a better one for."""


def attach(folder: Path, program: str) -> str:
    """Load and attach one of the probes, and let go. Return what the kernel refused, or ""."""
    try:
        with closing(BpfObject(Libbpf(), folder / OBJECT)) as probe:
            probe.take_in(program)
            probe.load()
            probe.attach()
    except LibbpfFault as fault:
        return str(fault).removeprefix(OBJECT).removeprefix(":").strip()
    return ""


def load(chosen: Mapping[str, Sensor], folder: Path, max_argv: int) -> Iterator[tuple[str, Loaded]]:
    """Load the objects of these sensors, attach nothing, and let go of all at the end.

    Raises:
        LibbpfFault: there is no libbpf.
    """
    library = Libbpf()
    constants = constants_of(max_argv)
    objects: list[BpfObject] = []
    maps: dict[str, Map] = {}
    try:
        for called, sensor in chosen.items():
            result = Loaded()
            try:
                for name in filter(None, (sensor.object, sensor.lister)):
                    opened = BpfObject(library, folder / name)
                    objects.append(opened)
                    _load(opened, sensor, constants, maps, lists=name == sensor.lister)
                    result.hooks += [section for section, there in opened.sections().items() if there]
                    result.left_out += [section for section, there in opened.sections().items() if not there]
            except LibbpfFault as fault:
                result.fault = str(fault)
            yield called, result
    finally:
        for each in objects:
            each.close()


def _load(opened: BpfObject, sensor: Sensor, constants: bytes, maps: dict[str, Map], *, lists: bool) -> None:
    opened.set_constants(".rodata.settings", constants)
    opened.share(maps)
    if not lists:
        opened.resize("ring", os.sysconf("SC_PAGE_SIZE"))  # nothing is ever sent
        for program in sensor.left_out():
            opened.leave_out(program)
    opened.load()
    for name in SHARED:
        maps.setdefault(name, opened.map(name))


def security_modules() -> list[str]:
    """Return the names of the active security modules as the kernel tells (since 6.8), else an empty list."""
    ids, size = (ctypes.c_uint64 * _LSM_ROOM)(), ctypes.c_uint32(8 * _LSM_ROOM)
    count = _system_call(_LSM_LIST_MODULES, ids, ctypes.byref(size), 0)
    known = dict(enumerate(_LSM_NAMES, _FIRST_LSM))
    return [known.get(number, str(number)) for number in ids[: max(count, 0)]]


def io_uring() -> int:
    """Ask for a ring in a way that fails. Return 0 when the kernel would give one, else its errno.

    EPERM: `kernel.io_uring_disabled` forbids it; ENOSYS: the kernel has none.
    """
    code = -_system_call(_IO_URING_SETUP, 0, None)
    return 0 if code in {errno.EFAULT, errno.EINVAL} else code


def _system_call(number: int, *arguments: object) -> int:
    """Return the answer, an errno below 0."""
    answer: int = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    return answer if answer >= 0 else -ctypes.get_errno()

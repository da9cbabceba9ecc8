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

from habitus.settings import CollectorSettings
from habitus_collector import rungs
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
    refused: str = ""
    """Why the sensor's cheaper object is not taken."""


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


def load(
    chosen: Mapping[str, Sensor], folder: Path, settings: CollectorSettings
) -> Iterator[tuple[str, Loaded]]:
    """Load the objects of these sensors, attach nothing, and let go of all at the end.

    Raises:
        LibbpfFault: there is no libbpf.
    """
    trial = Trial(folder, settings)
    try:
        for called, sensor in chosen.items():
            yield called, trial.load(sensor)
    finally:
        trial.close()


class Trial:
    """Objects that are loaded to see whether they are, and never attached."""

    def __init__(self, folder: Path, settings: CollectorSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._library = Libbpf()
        self._constants = constants_of(settings.max_argv_bytes)
        self._opened: list[BpfObject] = []
        self._maps: dict[str, Map] = {}

    def load(self, sensor: Sensor) -> Loaded:
        """Load what a sensor has."""
        result = Loaded()
        try:
            if sensor.object:
                taken = rungs.climb(sensor, self._settings.file_rung, lambda name: self._load(name, sensor))
                result.refused = taken.refused
                self._note(result)
            if sensor.lister:
                self._load(sensor.lister, None)
                self._note(result)
        except LibbpfFault as fault:
            result.fault = str(fault)
        return result

    def close(self) -> None:
        """Unload all."""
        while self._opened:
            self._opened.pop().close()

    def _note(self, result: Loaded) -> None:
        for section, there in self._opened[-1].sections().items():
            (result.hooks if there else result.left_out).append(section)

    def _load(self, name: str, sensor: Sensor | None) -> None:
        opened = BpfObject(self._library, self._folder / name)
        try:
            opened.set_constants(".rodata.settings", self._constants)
            opened.share(self._maps)
            if sensor:
                opened.resize("ring", os.sysconf("SC_PAGE_SIZE"))  # nothing is ever sent
                rungs.leave_out(opened, sensor.left_out(), file_totals=self._settings.file_totals)
            opened.load()
        except LibbpfFault:
            opened.close()
            raise
        self._opened.append(opened)
        for shared in SHARED:
            self._maps.setdefault(shared, opened.map(shared))


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

# SPDX-License-Identifier: Apache-2.0
"""What this machine must offer before anything can be loaded, each lack in one line."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from habitus_collector import cgroups, libbpf

BTF: Final = Path("/sys/kernel/btf/vmlinux")
_TRACEFS: Final = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
TRACEFS_ADVICE: Final = "mount -t tracefs none /sys/kernel/tracing (only classic tracepoints need it)"
_DEFAULT: Final = ("process.bpf.o",)

_STATUS: Final = Path("/proc/self/status")
_CAP_DAC_READ_SEARCH: Final = 1 << 2
_CAP_NET_ADMIN: Final = 1 << 12
_CAP_SYS_ADMIN: Final = 1 << 21
_CAP_PERFMON: Final = 1 << 38
_CAP_BPF: Final = 1 << 39


def kernel_version(release: str | None = None) -> tuple[int, int]:
    """Return (6, 18) for `6.18.44-x`, by default of this kernel; (0, 0) for what is no version."""
    parts = (release if release is not None else os.uname().release).partition("-")[0].split(".")[:2]
    numbers = [int(part) for part in parts if part.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0)


def tracefs() -> Path | None:
    """Return where tracefs is mounted, or None."""
    return next((path for path in _TRACEFS if (path / "events").is_dir()), None)


def objects_folder(setting: Path | None) -> Path:
    """Return where the built objects are: the setting, else this checkout's, else the package's own."""
    if setting is not None:
        return setting
    package = Path(__file__).resolve().parent
    for above in package.parents:
        built = above / "build" / "bpf"
        if (above / "bpf" / "Makefile").is_file() or built.is_dir():
            return built
    return package / "objects"


def missing_objects(folder: Path, names: Sequence[str] = _DEFAULT) -> list[str]:
    """Return those of the objects that are not in `folder`."""
    return [name for name in names if not (folder / name).is_file()]


def may_load(status: Path = _STATUS) -> bool:
    """Say whether this process may load programs: CAP_BPF with CAP_PERFMON, or CAP_SYS_ADMIN."""
    held = _capabilities(status)
    return bool(held & _CAP_SYS_ADMIN) or held & (_CAP_BPF | _CAP_PERFMON) == _CAP_BPF | _CAP_PERFMON


def may_watch_network(status: Path = _STATUS) -> bool:
    """Say whether this process may load programs for cgroups and open a cgroup by its id."""
    held = _capabilities(status)
    return bool(held & (_CAP_NET_ADMIN | _CAP_SYS_ADMIN)) and bool(held & _CAP_DAC_READ_SEARCH)


def _capabilities(status: Path) -> int:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)


def why_not_to_load(folder: Path, objects: Sequence[str]) -> str:
    """Say why these objects cannot even be tried, or ""."""
    if not may_load():
        return "no right to load eBPF programs"
    if not BTF.is_file():
        return "no BTF"
    if not libbpf.available():
        return "no libbpf"
    missing = missing_objects(folder, objects)
    return f"{', '.join(missing)} not built" if missing else ""


def basic_faults() -> Iterator[str]:
    """Yield what keeps this machine from collecting by any programs in the kernel, most basic first."""
    if sys.platform != "linux":
        yield "not Linux: containers can be watched on Linux only; the loader `replay` works anywhere"
        return
    if not may_load():
        yield "no right to load eBPF programs: run as root, or with CAP_BPF and CAP_PERFMON"
    if cgroups.mount_point() is None:
        yield "no cgroup v2 tree is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified"


def faults(folder: Path, objects: Sequence[str] = _DEFAULT) -> Iterator[str]:
    """Yield what keeps this machine from collecting by these objects, most basic first."""
    yield from basic_faults()
    if not BTF.is_file():
        yield (
            f"no BTF: {BTF} is missing; the kernel needs CONFIG_DEBUG_INFO_BTF, or set the loader to bcc: "
            "HABITUS_COLLECTOR_LOADER=bcc"
        )
    if not libbpf.available():
        yield libbpf.ADVICE
    missing = missing_objects(folder, objects)
    if missing:
        yield f"objects not built: {', '.join(missing)} not in {folder}: run make bpf"

# SPDX-License-Identifier: Apache-2.0
"""Processor time of a cgroup, from the tree of cgroup v2 or, where that does not count, from v1."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_NS: Final = 1_000_000_000
_US: Final = 1_000_000


class Mount(NamedTuple):
    """Where a tree of cgroup v1 is mounted, and which of its groups that is."""

    point: Path
    root: str


class ProcessorTime:
    """Reads what a group and those below it have used since they were made."""

    def __init__(self, tree: Path, proc: Path = Path("/proc")) -> None:
        self._tree = tree
        self._proc = proc
        self._v1 = next(_accounting(proc), None)

    def of(self, folder: str) -> float | None:
        """Return seconds of processor time, or None: the group is gone, or nothing counts it."""
        used = _of_v2(self._tree / folder)
        return self._of_v1(folder) if used is None else used

    def _of_v1(self, folder: str) -> float | None:
        if self._v1 is None:
            return None
        used = _of_v1(self._v1.point / folder)
        if used is None:  # there the container lies elsewhere: one of its processes says where
            own = self._elsewhere(folder, self._v1)
            used = None if own is None else _of_v1(own)
        return used

    def _elsewhere(self, folder: str, mount: Mount) -> Path | None:
        pid = next(iter(_lines(self._tree / folder / "cgroup.procs")), "")
        if not pid.isdigit():
            return None
        for line in _lines(self._proc / pid / "cgroup"):
            _, controllers, path = line.split(":", 2)
            if "cpuacct" in controllers.split(",") and ".." not in path.split("/"):
                return mount.point / path.removeprefix(mount.root).lstrip("/")
        return None


def _of_v2(group: Path) -> float | None:
    for line in _lines(group / "cpu.stat"):
        name, _, value = line.partition(" ")
        if name == "usage_usec" and value.isdigit():
            return int(value) / _US
    return None


def _of_v1(group: Path) -> float | None:
    value = next(iter(_lines(group / "cpuacct.usage")), "")
    return int(value) / _NS if value.isdigit() else None


def _accounting(proc: Path) -> Iterator[Mount]:
    for line in _lines(proc / "self" / "mountinfo"):
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup ") and "cpuacct" in after.rpartition(" ")[2].split(","):
            root, point = before.split(" ")[3:5]
            yield Mount(Path(point.replace("\\040", " ")), root)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []

# SPDX-License-Identifier: Apache-2.0
"""Processes that ran in containers before they were watched, read from /proc: each is told once."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from habitus.events import Process
from habitus.text import decoded
from habitus_collector.loaders.bcc import records
from habitus_collector.loaders.bcc.side import Target
from habitus_collector.records import ArgvFlag, arguments

PROC: Final = Path("/proc")
_FIRST_NAMESPACE: Final = 0xEFFFFFFC  # PROC_PID_INIT_INO of the kernel
_ANCESTORS: Final = 8
_MEMORY: Final = b"/memfd:"


class Listed(NamedTuple):
    """A process that ran already. `time` is of the monotonic clock: what it says was read after it."""

    time: int
    cgroup: int
    epoch: int
    process: Process


class _Told(NamedTuple):
    epoch: int
    listed: int
    """When it was listed, 0 when a record told of it."""


class Running:
    """Knows of whom was told, by a record or by a list; everything but `list` belongs to one thread."""

    def __init__(self, tree: Path, argv_bytes: int, proc: Path = PROC) -> None:
        """`tree`: where cgroup v2 is mounted; `argv_bytes`: how much of the arguments is told."""
        self._tree = tree
        self._argv_bytes = argv_bytes
        self._proc = proc
        self._told: dict[int, _Told] = {}
        self._thread = threading.Thread()

    @property
    def possible(self) -> bool:
        """Whether /proc shows processes by the numbers that the kernel's programs tell."""
        return (self._proc / "self" / "ns" / "pid").stat().st_ino == _FIRST_NAMESPACE

    def heard(self, head: records.Head, targets: Mapping[int, Target]) -> bool:
        """Note what a record tells of; return False for what a list that was faster has told already."""
        if head.kind == records.EXIT:
            self._told.pop(head.pid, None)
        elif head.kind in {records.EXEC, records.FORK}:
            told = self._told.get(head.pid)
            if told and head.time < told.listed:
                return False
            target = targets.get(head.cgroup)
            self._told[head.pid] = _Told(target.epoch if target else 0, 0)
        return True

    def begin(self, targets: Mapping[int, Target], take: Callable[[Listed], None]) -> None:
        """Hand over, inside the event loop, who runs in these cgroups and was not told of.

        A thread reads: a container can have who reads its memory wait for ever. While one does, no other
        begins.
        """
        if self._thread.is_alive():
            return
        self._told = {pid: told for pid, told in self._told.items() if (self._proc / str(pid)).exists()}
        known = {pid: told.epoch for pid, told in self._told.items()}
        loop = asyncio.get_running_loop()

        def work() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                for listed in self.list(dict(targets), known):
                    loop.call_soon_threadsafe(self._pass, listed, take)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def list(self, targets: Mapping[int, Target], known: Mapping[int, int]) -> Iterator[Listed]:
        """Yield the processes of these cgroups; `known`: who was told of in which epoch, and is left out."""
        groups = _Groups(self._proc, self._tree)
        for pid in sorted(int(entry.name) for entry in self._proc.iterdir() if entry.name.isdecimal()):
            cgroup = groups.of(pid)
            target = targets.get(cgroup)
            if target is None or known.get(pid) == target.epoch:
                continue
            now = time.monotonic_ns()
            with contextlib.suppress(OSError, ValueError):  # it has just ended, or is a task of the kernel
                process = self._read(pid, target, targets, groups)
                if process:
                    yield Listed(now, cgroup, target.epoch, process)

    def _pass(self, listed: Listed, take: Callable[[Listed], None]) -> None:
        pid = listed.process.pid or 0
        told = self._told.get(pid)
        if told and told.epoch == listed.epoch:
            return  # a record came meanwhile
        self._told[pid] = _Told(listed.epoch, listed.time)
        take(listed)

    def _read(
        self, pid: int, target: Target, targets: Mapping[int, Target], groups: "_Groups"
    ) -> Process | None:
        folder = self._proc / str(pid)
        exe = _link(folder / "exe")
        with (folder / "cmdline").open("rb") as handle:
            argv = handle.read(self._argv_bytes + 1)
        cut = len(argv) > self._argv_bytes
        uid, parent = _status(folder)
        lineage = list(self._inside(parent, target, targets, groups))
        if not lineage and _link(folder / "ns" / "mnt") == _link(self._proc / str(parent) / "ns" / "mnt"):
            return None  # a stage of the runtime
        if _link(folder / "exe") != exe:
            return None  # it has begun another program meanwhile, and a record tells of that
        return Process(
            pid=pid,
            ppid=parent if lineage else 0,
            uid=uid,
            name=self._comm(pid),
            parent=lineage[0] if lineage else "",
            ancestors=lineage,
            exe=decoded(exe[1:] if exe.startswith(_MEMORY) else exe),
            argv=arguments(argv[: self._argv_bytes], ArgvFlag.CUT if cut else 0),
            truncated=cut,
            running=True,
        )

    def _inside(
        self, pid: int, target: Target, targets: Mapping[int, Target], groups: "_Groups"
    ) -> Iterator[str]:
        """Yield the names of a process and its ancestors, as far as they are of the same container."""
        for _ in range(_ANCESTORS):
            group = targets.get(groups.of(pid))
            if not pid or group is None or group.root != target.root:
                return
            yield self._comm(pid)
            _, pid = _status(self._proc / str(pid))

    def _comm(self, pid: int) -> str:
        return decoded((self._proc / str(pid) / "comm").read_bytes().removesuffix(b"\n"))


class _Groups:
    """Ids of processes' cgroups, each looked up once."""

    def __init__(self, proc: Path, tree: Path) -> None:
        self._proc = proc
        self._tree = tree
        self._ids: dict[str, int] = {}

    def of(self, pid: int) -> int:
        """Return the id of a process's cgroup, or 0: it is gone, or outside of what we see."""
        try:
            lines = (self._proc / str(pid) / "cgroup").read_text(errors="surrogateescape").splitlines()
        except OSError:
            return 0
        path = next((line[3:] for line in lines if line.startswith("0::")), "/..")
        if path not in self._ids:
            self._ids[path] = self._id(path)
        return self._ids[path]

    def _id(self, path: str) -> int:
        if ".." in path.split("/"):
            return 0
        try:
            return (self._tree / path.lstrip("/")).stat().st_ino
        except OSError:
            return 0


def _link(path: Path) -> bytes:
    return os.fsencode(path.readlink())


def _status(folder: Path) -> tuple[int, int]:
    """Return (uid, pid of the parent)."""
    lines = (folder / "status").read_bytes().splitlines()
    fields = dict(line.partition(b":")[::2] for line in lines)
    return int(fields[b"Uid"].split()[0]), int(fields[b"PPid"])

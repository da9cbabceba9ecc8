# SPDX-License-Identifier: Apache-2.0
"""Pods that are made here name their maker in their uid, so that what a killed run left can be cleared."""

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_MARK: Final = "7e57ab17"
_ABOVE: Final = "kubepods/besteffort"
_PATIENCE_S: Final = 2.0  # the last process may still be on its way out


def pod_uid() -> str:
    """Return the uid of a new Pod: a UUID of our mark, chance, our pid in hex, and chance."""
    chance = secrets.token_hex(8)
    return f"{_MARK}-{chance[:4]}-4{chance[4:7]}-a{chance[7:10]}-{os.getpid():06x}{chance[10:]}"


def cgroup_of(uid: str) -> str:
    """Return the path of a Pod's cgroup from the root of each hierarchy."""
    return f"{_ABOVE}/pod{uid}"


def hierarchies() -> list[Path]:
    """Return where each cgroup hierarchy is mounted: one by cgroup v2 alone, many in a hybrid."""
    mounts = (line.partition(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [Path(mount.split()[4]) for mount, _, kind in mounts if kind.startswith(("cgroup ", "cgroup2 "))]


def clear_leftovers() -> list[Path]:
    """End the Pods whose maker is gone and remove their cgroups; return those that would not go."""
    left = [pod for root in hierarchies() for pod in root.glob(f"{_ABOVE}/pod{_MARK}-*") if _orphaned(pod)]
    for pod in left:
        _kill(pod)
    for pod in left:
        remove([*_below(pod), pod])
        remove(pod.parents[:2], patience_s=0)  # they stay where they hold others
    return [pod for pod in left if pod.exists()]


def remove(folders: Iterable[Path], *, patience_s: float = _PATIENCE_S) -> None:
    """Remove cgroups in this order; one that holds something is waited for, then left."""
    for folder in folders:
        deadline = time.monotonic() + patience_s
        while folder.is_dir():
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            if time.monotonic() >= deadline:
                break
            time.sleep(0.01)


def _orphaned(pod: Path) -> bool:
    with contextlib.suppress(ValueError):
        return not Path(f"/proc/{int(pod.name[-12:-6], 16)}").exists()
    return False  # no uid of ours


def _kill(pod: Path) -> None:
    for group in (pod, *_below(pod)):
        with contextlib.suppress(OSError):  # gone meanwhile
            for pid in (group / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)


def _below(folder: Path) -> Iterator[Path]:
    """Yield the cgroups below one, the deepest first."""
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        yield from _below(child)
        yield child

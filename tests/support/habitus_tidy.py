# SPDX-License-Identifier: Apache-2.0
"""A folder for a container engine, and its end: nothing that ran, was mounted or lay there is left."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from habitus_testing import until

# What engines make outside of the folders that they are given.
_CGROUPS = ("docker", "libpod_parent/conmon", "libpod_parent")
_OTHERS_S = 2  # what is not empty by then is another engine's
_NOTES = ("/run/runc", "/run/containerd/runc/k8s.io")
_CONTAINER = re.compile(r"[0-9a-f]{64}$")
_FOLDERS = ("/run/docker/plugins", "/run/docker", "/run/containers/networks", "/run/containers")


@contextlib.contextmanager
def engine_folder() -> Iterator[Path]:
    """Give a folder; at the end kill and unmount what was left in it, whatever happened meanwhile."""
    made = [path for path in _outside() if not path.exists()]
    traces: set[Path] = set()
    # A real disk on every distribution, and a path that is short enough for sockets.
    folder = Path(tempfile.mkdtemp(prefix="habitus-test-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        until(lambda: not _clear(folder, traces), lambda: f"still there: {_clear(folder, traces)}")
        until(lambda: not _remove(traces), lambda: f"cannot be removed: {_remove(traces)}")
        deadline = time.monotonic() + _OTHERS_S
        while _remove(made) and time.monotonic() < deadline:
            time.sleep(0.05)


def _outside() -> list[Path]:
    return [root / name for root in _cgroup_roots() for name in _CGROUPS] + [Path(name) for name in _FOLDERS]


def _cgroup_roots() -> list[Path]:
    return [Path(line.split()[4]) for line in _mounts("self") if " - cgroup" in line]


def _clear(folder: Path, traces: set[Path]) -> list[object]:
    """End what is of this folder and remove it; return what is left, for another attempt."""
    left = [*_kill(folder, traces), *_unmount(folder)]
    if not left:
        # A runtime may still be at work in it: containerd has runc tidy up after a shim that died.
        shutil.rmtree(folder, ignore_errors=True)
    return left or [path for path in [folder] if path.exists()]


def _kill(folder: Path, traces: set[Path]) -> list[int]:
    """Kill what was started with this folder's name in its command, and what has its root in there."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    of_it = [pid for pid in found if pid != os.getpid() and _belongs(pid, str(folder))]
    for pid in of_it:
        with contextlib.suppress(OSError):  # it has just ended
            traces.update(_cgroups(pid), _sockets(pid))
            os.kill(pid, signal.SIGKILL)
    return of_it


def _cgroups(pid: int) -> Iterator[Path]:
    """Yield the cgroups of a killed container, and what runc notes of it."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        cgroup = line.split(":", 2)[2].lstrip("/")
        container = _CONTAINER.search(cgroup)
        if container:
            yield from (root / cgroup for root in _cgroup_roots())
            yield from (Path(notes, container[0]) for notes in _NOTES)


def _sockets(pid: int) -> Iterator[Path]:
    """Yield the files of the sockets that a process serves: a shim's lies outside of the folder."""
    held = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]:
        inode, *path = line.split(maxsplit=7)[6:]
        if path and f"socket:[{inode}]" in held and path[0].startswith("/run/containerd/s/"):
            yield Path(path[0])


def _remove(traces: Collection[Path]) -> list[Path]:
    for path in sorted(traces, reverse=True):  # deepest first
        with contextlib.suppress(OSError):  # the last process of a cgroup may still be on its way out
            if path.is_socket():
                path.unlink()
            elif path.parent in map(Path, _NOTES):
                shutil.rmtree(path)
            else:
                path.rmdir()
    return [path for path in traces if path.exists()]


def _belongs(pid: int, folder: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return False
    return folder.encode() in command or any(
        folder in line for line in _mounts(str(pid)) if line.split()[4] == "/"
    )


def _unmount(folder: Path) -> list[str]:
    mounted = [line.split()[4] for line in _mounts("self")]
    of_it = [target for target in mounted if target.startswith(f"{folder}/")]
    for target in reversed(of_it):
        subprocess.run(["umount", "--lazy", target], check=False)
    return of_it


def _mounts(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []

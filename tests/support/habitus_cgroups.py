# SPDX-License-Identifier: Apache-2.0
"""Cgroups named as runtimes name those of containers, and processes in them with mounts of their own."""

import contextlib
import ctypes
import os
import secrets
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from habitus_console.demo import own_pods

_CLONE_NEWNS = 0x20000
_libc = ctypes.CDLL(None, use_errno=True)


class FakeContainer:
    """A cgroup named like a container's; `run` starts processes there as a container's runtime does."""

    def __init__(self, tree: Path, folder: str | None = None) -> None:
        self.id = secrets.token_hex(32)
        self.pod_uid = own_pods.pod_uid()
        self.folder = tree / (folder or f"{own_pods.cgroup_of(self.pod_uid)}/{self.id}")
        above = self.folder.relative_to(tree).parents
        self._made = [tree / folder for folder in above if not (tree / folder).exists()]
        self._running: list[int] = []
        self.folder.mkdir(parents=True)

    def run(
        self,
        argv: list[bytes],
        *,
        before: Callable[[], object] = lambda: None,
        own_mounts: bool = True,
        exe: str | int | None = None,
        cgroup: Path | None = None,
        env: dict[bytes, bytes] | None = None,
        wait: bool = True,
    ) -> tuple[int, int]:
        """Run a program; return (pid, wait status). Without `wait` it may run until `remove`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads: the child only execs
            pid = os.fork()
        if not pid:
            with contextlib.suppress(OSError):
                (cgroup or self.folder).joinpath("cgroup.procs").write_text(str(os.getpid()))
                if own_mounts and _libc.unshare(_CLONE_NEWNS):
                    os._exit(126)
                before()
                os.execve(exe if exe is not None else argv[0], argv, env or {})  # noqa: S606  # hostile argv as it is
            os._exit(127)
        if wait:
            return os.waitpid(pid, 0)
        self._running.append(pid)
        return pid, 0

    def names(self) -> list[str]:
        """Return the names of the processes that run in it, sorted."""
        names = []
        for pid in (self.folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):  # it has just ended
                names.append(Path(f"/proc/{pid}/comm").read_text().strip())
        return sorted(names)

    def kill(self) -> None:
        """End every process of the container, and wait for those that were started here."""
        with contextlib.suppress(FileNotFoundError):  # removed by the test itself
            (self.folder / "cgroup.kill").write_text("1")
        while self._running:
            with contextlib.suppress(ChildProcessError):  # waited for already
                os.waitpid(self._running.pop(), 0)

    def remove(self) -> None:
        """End what runs in it, and leave no trace of it."""
        self.kill()
        own_pods.remove([*self.folder.glob("*/"), self.folder])
        own_pods.remove(self._made, patience_s=0)  # those above may hold other containers


@contextlib.contextmanager
def container(tree: Path) -> Iterator[Path]:
    """Give a container's cgroup that no runtime names; at the end it goes, with all that runs in it."""
    made = FakeContainer(tree)
    try:
        yield made.folder
    finally:
        made.remove()

# SPDX-License-Identifier: Apache-2.0
"""Programs that hang on each watched container's own cgroup: the host pays nothing for them."""

import contextlib
import errno
import logging
import os
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from habitus_collector import cgroups
from habitus_collector.libbpf import BpfObject, Libbpf, LibbpfFault

log = logging.getLogger(__name__)

_GONE: Final = frozenset({errno.ENOENT, errno.ESTALE, errno.ENODEV})


class ContainerHooks:
    """Links by the id of a container's own cgroup; what lies below that cgroup passes them too.

    A link is a file descriptor (about ten for each container), and the kernel ends it with the
    cgroup, whoever forgets to. The soft limit of descriptors is raised to the hard one.
    """

    def __init__(self, library: Libbpf, objects: Sequence[BpfObject]) -> None:
        self._library = library
        self._objects = [each for each in objects if each.has_cgroup_programs]
        self._links: dict[int, list[int]] = {}
        if self._objects:
            _raise_limit()

    def attach(self, root: int) -> None:
        """Attach to a container's cgroup, once; a fault is one line, and nothing is attached then."""
        if not self._objects or root in self._links:
            return
        links = self._links[root] = []
        try:
            self._attach(root, links)
        except (OSError, LibbpfFault) as fault:
            self._undo(links)
            if not isinstance(fault, OSError) or fault.errno not in _GONE:
                log.error("container of cgroup %d: its network is seen in part only: %s", root, fault)  # noqa: TRY400

    def detach(self, root: int) -> None:
        """Detach from a container's cgroup; none there is no fault."""
        self._undo(self._links.pop(root, []))

    def of(self, root: int) -> int:
        """Return how many programs hang on a container's cgroup."""
        return len(self._links.get(root, ()))

    def close(self) -> None:
        """Detach everywhere; safe to call twice."""
        while self._links:
            self._undo(self._links.popitem()[1])

    def _attach(self, root: int, links: list[int]) -> None:
        tree = cgroups.mount_point()
        if tree is None:
            raise LibbpfFault("no cgroup v2 tree is mounted")
        folder = cgroups.opened(tree, root)
        try:
            if self._is_covered(folder):
                return
            for each in self._objects:
                each.attach_to_cgroup(folder, links)
        finally:
            os.close(folder)

    def _is_covered(self, folder: int) -> bool:
        # A container inside a container: the outer one's programs see it already.
        path = Path(f"/proc/self/fd/{folder}").readlink()
        above = (each.stat().st_ino for each in path.parents if each.is_dir())
        return any(self._links.get(cgroup) for cgroup in above)

    def _undo(self, links: list[int]) -> None:
        while links:
            self._library.detach(links.pop())


def _raise_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

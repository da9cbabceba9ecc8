# SPDX-License-Identifier: Apache-2.0
"""The cgroup v2 tree: where it is mounted, what is in it, and which of its groups are containers."""

import ctypes
import os
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_KERNFS: Final = 0xFE  # FILEID_KERNFS: a file handle that holds nothing but the cgroup's id
_HANDLE: Final = struct.Struct("=IiQ")

Levels = Sequence[tuple[int, str]]
"""From the top, the root left out: (cgroup id, name)."""

_ID: Final = r"(?P<id>[0-9a-f]{64})"
# How runtimes name a container's own cgroup, under systemd and without it.
_SCOPES: Final = (
    ("containerd", re.compile(rf"cri-containerd-{_ID}\.scope")),
    ("cri-o", re.compile(rf"crio-{_ID}(?:\.scope)?")),
    ("docker", re.compile(rf"docker-{_ID}\.scope")),
    ("podman", re.compile(rf"libpod-{_ID}(?:\.scope)?")),
    ("containerd", re.compile(rf"nerdctl-{_ID}\.scope")),
)
# As runc writes it that was given systemd's form of a path, and no systemd.
_COLONS: Final = re.compile(rf".+:(?P<prefix>cri-containerd|crio|docker|libpod|nerdctl):{_ID}")
_BY_PREFIX: Final = {"crio": "cri-o", "docker": "docker", "libpod": "podman"}
# Containers that have names and no ids, and no image: each is its own.
_NAMED: Final = (
    ("lxc", re.compile(r"lxc\.payload\.(?P<name>[\w.-]{1,64})")),
    ("systemd-nspawn", re.compile(r"systemd-nspawn@(?P<name>[\w.-]{1,64})\.service")),
)
_LXC: Final = re.compile(r"[\w.-]{1,64}")
_BARE: Final = re.compile(_ID)
_POD: Final = re.compile(r"(?:^|-)pod(?P<uid>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})")


class Place(NamedTuple):
    """A container by its cgroup alone: known at once, before any runtime answers."""

    id: str
    runtime: str
    pod_uid: str | None
    cgroup: int
    """Id of the container's own cgroup; it may have others below it."""
    name: str | None = None
    """Of a container that has no id: one of LXC, or a machine of systemd-nspawn."""


def place_of(levels: Levels) -> Place | None:
    """Return the innermost container that these levels lie in, or None: a cgroup of the host."""
    for depth in range(len(levels) - 1, -1, -1):
        cgroup, name = levels[depth]
        above = [level_name for _, level_name in levels[:depth]]
        found = _container(name, above)
        if found:
            return Place(found[1], found[0], _pod_uid([*above, name]), cgroup)
        named = _named(name, above)
        if named:
            return Place(f"{named[0]}:{named[1]}", named[0], None, cgroup, named[1])
    return None


def _container(name: str, above: list[str]) -> tuple[str, str] | None:
    for runtime, pattern in _SCOPES:
        match = pattern.fullmatch(name)
        if match:
            return runtime, match["id"]
    match = _COLONS.fullmatch(name)
    if match:
        return _BY_PREFIX.get(match["prefix"], "containerd"), match["id"]
    match = _BARE.fullmatch(name)
    # Without systemd the id stands alone: only the group above tells that it is a container's.
    if match and above:
        runtime = "docker" if above[-1] == "docker" else "containerd" if _pod_uid(above[-1:]) else "unknown"
        return runtime, match["id"]
    return None


def _named(name: str, above: list[str]) -> tuple[str, str] | None:
    plain = name.replace("\\x2d", "-")  # as systemd writes a name with a dash
    for runtime, pattern in _NAMED:
        match = pattern.fullmatch(plain)
        if match:
            return runtime, match["name"]
    if above == ["lxc"] and _LXC.fullmatch(plain):  # before LXC 4
        return "lxc", plain
    return None


def _pod_uid(names: list[str]) -> str | None:
    for name in reversed(names):
        match = _POD.search(name.removesuffix(".slice"))
        if match:
            return match["uid"].replace("_", "-")
    return None


def mount_point(mountinfo: Path = Path("/proc/self/mountinfo")) -> Path | None:
    """Return where cgroup v2 is mounted (hybrid systems mount it beside v1), or None."""
    try:
        lines = mountinfo.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split(" ")[4].replace("\\040", " "))
    return None


def walk(root: Path) -> Iterator[Levels]:
    """Yield every cgroup of the tree, parents first. One that disappears meanwhile is left out."""
    yield from _below(root, ())


def _below(folder: Path, levels: tuple[tuple[int, str], ...]) -> Iterator[Levels]:
    yield levels
    try:
        with os.scandir(folder) as entries:
            inside = [(entry.inode(), entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for cgroup, name in inside:
        yield from _below(folder / name, (*levels, (cgroup, name)))


def opened(tree: Path, cgroup: int) -> int:
    """Return a descriptor of the folder of a cgroup, by its id: no name can lead elsewhere.

    Raises:
        OSError: it is gone, or the right CAP_DAC_READ_SEARCH is missing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    handle = _HANDLE.pack(_HANDLE.size - 8, _KERNFS, cgroup)
    mount = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        descriptor: int = libc.open_by_handle_at(mount, ctypes.create_string_buffer(handle), flags)
        if descriptor < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), f"cgroup {cgroup}")
        return descriptor
    finally:
        os.close(mount)

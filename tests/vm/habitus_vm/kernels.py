# SPDX-License-Identifier: Apache-2.0
"""Debian's kernels, fetched by apt from this machine's own mirror and unpacked into a cache."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.pgp")
SUITES: Final = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
"""Series → the suite that has it; any other is looked for in these:"""
OTHER_SUITES: Final = ("trixie-backports", "forky", "sid")
_SOURCES: Final = (Path("/etc/apt/sources.list.d"), Path("/etc/apt/sources.list"))
_SERIES: Final = re.compile(r"\d+\.\d+")


class KernelFault(RuntimeError):
    """A kernel that cannot be had; one line."""


@dataclass(frozen=True)
class Kernel:
    """One unpacked kernel. `root` holds its packages as if they were installed there."""

    release: str
    """What `uname -r` says under it."""
    root: Path

    @property
    def image(self) -> Path:
        """The file to boot."""
        found = (
            self.root / "boot" / f"vmlinuz-{self.release}",
            self.root / "usr" / "lib" / "modules" / self.release / "vmlinuz",
        )
        return next((path for path in found if path.is_file()), found[0])


def cache() -> Path:
    """Return the folder that keeps what was fetched, outside of any checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "habitus" / "vm"


def have(series: str, *, refresh: bool = False) -> Kernel:
    """Return the newest kernel of a series such as `6.12`: the cached one, unless `refresh` looks again.

    Raises:
        KernelFault: no suite has it, or apt could not bring it.
    """
    if not _SERIES.fullmatch(series):
        raise KernelFault(f"kernel {series!r}: a series is two numbers, such as 6.12")
    folder = cache() / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        found = _cached(folder, series)
        if found is None or refresh:
            found = _fetch(folder, series)
    return found


def mirror(places: Iterable[Path] = _SOURCES) -> str:
    """Return the address of Debian's archive that this machine's apt is set to.

    Raises:
        KernelFault: its sources name none.
    """
    for path in _files(places):
        try:
            text = path.read_text()
        except OSError:
            continue
        for line in text.splitlines():
            uri = _uri(line)
            if uri and "security" not in uri:
                return uri
    raise KernelFault("apt's sources name no archive of Debian (http or https)")


def newest(packages: Iterable[str], series: str, machine: str) -> str | None:
    """Return the release of the newest cloud kernel of a series among package names, or None."""
    pattern = re.compile(rf"linux-image-({re.escape(series)}\.[0-9][0-9a-z.+~-]*-cloud-{re.escape(machine)})")
    releases = [match[1] for name in packages if (match := pattern.fullmatch(name))]
    return max(releases, key=_numbers, default=None)


def _numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release)]


def _uri(line: str) -> str | None:
    match = re.match(r"(?:URIs:|deb\s+(?:\[[^]]*]\s+)?)\s*(https?://\S+)", line.strip())
    return match[1] if match else None


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        yield from sorted(place.iterdir()) if place.is_dir() else [place]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _cached(folder: Path, series: str) -> Kernel | None:
    names = [path.name for path in folder.glob(f"{series}.*") if path.is_dir()]
    release = max(names, key=_numbers, default=None)
    return Kernel(release, folder / release) if release else None


def _fetch(folder: Path, series: str) -> Kernel:
    if not shutil.which("apt-get"):
        raise KernelFault("no apt-get here: kernels are fetched from Debian's archive")
    suites = (SUITES[series],) if series in SUITES else OTHER_SUITES
    machine = _said(["dpkg", "--print-architecture"]).strip()
    uri = mirror()
    for suite in suites:
        archive = Archive(cache() / "apt" / suite, uri, suite)
        archive.update()
        release = newest(archive.names("linux-image-"), series, machine)
        if release:
            return _unpack(folder, release, archive, machine)
    raise KernelFault(f"kernel {series}: no cloud kernel of this series in {', '.join(suites)} of {uri}")


def _unpack(folder: Path, release: str, archive: "Archive", machine: str) -> Kernel:
    kernel = Kernel(release, folder / release)
    if kernel.root.is_dir():
        return kernel
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        for package in archive.download(_packages(archive, release, machine), Path(scratch)):
            _said(["dpkg-deb", "-x", str(package), str(root)])
        if not (root / "usr" / "lib" / "modules").is_dir():  # before Debian merged /usr
            (root / "usr" / "lib").mkdir(parents=True, exist_ok=True)
            (root / "lib" / "modules").rename(root / "usr" / "lib" / "modules")
        shutil.rmtree(root / "lib", ignore_errors=True)
        (root / "lib").symlink_to("usr/lib")
        _said(["depmod", "-b", str(root), release])
        root.rename(kernel.root)  # whole or not at all
    if not kernel.image.is_file():
        raise KernelFault(f"kernel {release}: its packages hold no image")
    return kernel


def _packages(archive: "Archive", release: str, machine: str) -> list[str]:
    headers = f"linux-headers-{release}"
    # From 7 on the image package is split. Older images of backports stand there without headers.
    split = [f"linux-binary-{release}", f"linux-modules-{release}"]
    wanted = [f"linux-image-{release}", *(name for name in split if archive.has(name))]
    if archive.has(headers):
        wanted += [headers, f"linux-headers-{release.removesuffix(f'-cloud-{machine}')}-common"]
        wanted += [name for name in archive.depends(headers) if name.startswith("linux-kbuild-")]
    return wanted


class Archive:
    """One suite of Debian's archive, read by apt with lists of its own: the system's stay untouched."""

    def __init__(self, folder: Path, uri: str, suite: str) -> None:
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        sources = folder / "suite.list"
        sources.write_text(f"deb [signed-by={KEYRING}] {uri} {suite} main\n")
        self._suite = suite
        self._options = [
            "-qq",
            *("-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-"),
            *("-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"),
            *("-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"),
        ]

    def update(self) -> None:
        """Bring the list of packages up to date; an old one will do where the mirror is away."""
        try:
            self._apt("apt-get", "update")
        except KernelFault:
            if not self.names("linux-image-"):
                raise

    def names(self, prefix: str) -> list[str]:
        """Return the packages whose names begin so."""
        return self._apt("apt-cache", "pkgnames", prefix).split()

    def has(self, package: str) -> bool:
        """Say whether the suite has a package."""
        return package in self.names(package)

    def depends(self, package: str) -> list[str]:
        """Return the packages that one depends on."""
        lines = self._apt("apt-cache", "depends", package).splitlines()
        return [line.split()[-1] for line in lines if line.strip().startswith("Depends:")]

    def download(self, packages: list[str], folder: Path) -> list[Path]:
        """Fetch packages into a folder; return the files."""
        self._apt("apt-get", "download", *packages, cwd=folder)
        return sorted(folder.glob("*.deb"))

    def _apt(self, program: str, *words: str, cwd: Path | None = None) -> str:
        return _said([program, *self._options, *words], cwd)


def _said(command: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise KernelFault(f"{command[0]} is missing: deploy/setup/bootstrap.sh vm") from None
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()]
        raise KernelFault(f"{command[0]} {command[-1]}: {words[-1].strip() if words else 'failed'}")
    return done.stdout

# SPDX-License-Identifier: Apache-2.0
"""Builds the demo's images as docker archives: static programs, one layer, no registry."""

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

COMPILERS: Final = ("clang-19", "clang-20", "clang-18", "clang-17", "clang-16", "clang", "gcc", "cc")
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_FOLDERS: Final = (
    "app", "app/upload", "bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin",
    "var", "var/backups", "var/log",
)  # fmt: skip
_PROGRAMS: Final = ("java", "backup", "healthcheck")


class ImageFault(RuntimeError):
    """An image cannot be built; the text names what is missing and how to get it."""


def compile_standin(folder: Path) -> Path:
    """Compile the harmless stand-in, statically, into `folder`."""
    compiler = next((name for name in COMPILERS if shutil.which(name)), None)
    if compiler is None:
        raise ImageFault("no C compiler found: apt-get install clang-19")
    target = folder / "standin"
    with resources.as_file(resources.files(__package__) / "standin.c") as source:
        command = [compiler, "-static", "-O2", "-o", str(target), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageFault(f"{compiler} cannot build the stand-in: {done.stderr.strip().splitlines()[-1:]}")
    return target


def webapp(folder: Path, standin: Path) -> Path:
    """Write the image `webapp:v1` and return the archive."""
    files = {f"usr/bin/{name}": (standin.read_bytes(), 0o755) for name in _PROGRAMS}
    files["bin/bash"] = (program("bash-static", "bash-static").read_bytes(), 0o755)
    files["bin/busybox"] = (program("busybox", "busybox-static").read_bytes(), 0o755)
    files["app/serve.sh"] = (resources.files(__package__).joinpath("serve.sh").read_bytes(), 0o755)
    files["app/webapp.jar"] = (b"", 0o644)
    files["app/upload/plugin.sh"] = (b"", 0o644)
    files["etc/passwd"] = (b"root:x:0:0:root:/root:/bin/bash\n", 0o644)
    command = ["/bin/bash", "/app/serve.sh"]
    return build(folder / "webapp.tar", "webapp:v1", files, command, links={"bin/gzip": "busybox"})


def pause(folder: Path, standin: Path) -> Path:
    """Write the sandbox image that containerd asks for and return the archive."""
    files = {"pause": (standin.read_bytes(), 0o755)}
    return build(folder / "pause.tar", "localhost/pause:1", files, ["/pause"])


def build(
    archive: Path,
    reference: str,
    files: Mapping[str, tuple[bytes, int]],
    command: list[str],
    *,
    links: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write an image of these files, each with its mode, and return the archive."""
    return _archive(archive, reference, _layer(files, links), command)


def program(name: str, package: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise ImageFault(f"{name} is missing: apt-get install {package}")
    return Path(found)


def _layer(files: Mapping[str, tuple[bytes, int]], links: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in _FOLDERS:
            _add(tar, folder, mode=0o1777 if folder == "tmp" else 0o755, kind=tarfile.DIRTYPE)
        for name, (content, mode) in files.items():
            _add(tar, name, content, mode=mode)
        for name, target in links.items():
            _add(tar, name, kind=tarfile.SYMTYPE, target=target)
    return out.getvalue()


def _add(
    tar: tarfile.TarFile,
    name: str,
    content: bytes = b"",
    *,
    mode: int = 0o777,
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.type, entry.linkname = len(content), mode, kind, target
    tar.addfile(entry, io.BytesIO(content))


def _archive(path: Path, reference: str, layer: bytes, command: list[str]) -> Path:
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/usr/bin:/bin"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "habitus demo"}],
    }
    raw = json.dumps(config, sort_keys=True).encode()
    name = hashlib.sha256(raw).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        _add(tar, f"{name}.json", raw, mode=0o644)
        _add(tar, f"{digest}/layer.tar", layer, mode=0o644)
        _add(tar, "manifest.json", json.dumps(manifest).encode(), mode=0o644)
    return path

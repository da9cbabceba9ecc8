# SPDX-License-Identifier: Apache-2.0
"""Paths by class: where a file lies says more about danger than what it is called.

Sensitive places are known by exact path only. In all others a path stands for its directory and
extension where it holds code or configuration, else for its place alone. Hidden names are a
class of their own, and so is what lies in a folder that is handed out (`/srv/shop/public`). In the
normal text a data file outside scratch places is `<file>` with its extension, in its directory.
"""

import posixpath
import re
from functools import lru_cache
from typing import Final, NamedTuple

from habitus_profiler.volatile import softened, strictly_softened
from habitus_profiler.words import words

BIN: Final = (
    "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin",
)  # fmt: skip
LIB: Final = (
    "/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec",
    "/usr/local/lib", "/usr/local/lib64", "/usr/local/libexec",
)  # fmt: skip
SCRATCH: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # the names of the places, not uses
SENSITIVE: Final = (
    "/etc", "/root", "/proc", "/sys", "/dev", "/boot", "/var/run/secrets", "/run/secrets",
    "/run/containerd", "/var/run/containerd", "/run/crio", "/var/run/crio", "/run/docker",
    "/var/run/docker", "/run/podman", "/var/run/podman", "/var/lib/kubelet", "/var/lib/docker",
    "/var/spool/cron", *BIN, *LIB,
)  # fmt: skip
# Nobody is harmed by these, whoever uses them.
HARMLESS: Final = frozenset(
    {"/dev/null", "/dev/zero", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/full"}
    | {"/dev/urandom", "/dev/random", "/dev/tty", "/dev/termination-log"}
)
_READ_BY_ALL: Final = words(
    """
    /etc/os-release /etc/timezone /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem
    /etc/pki/tls/certs/ca-bundle.crt /usr/share/zoneinfo /proc/cpuinfo /proc/loadavg /proc/meminfo
    /proc/uptime /proc/version
    """
)
"""Nothing is told by reading these; writing to them is another matter."""
_LOCK: Final = re.compile(
    r"(?:/var)?/(?:run|lock)/(?:[\w-]+/)?[\w-]+\.(?:lock|pid)\Z|(?:/var)?/tmp/[\w-]+\.pid\Z"
)
"""What says that a program runs, and no more."""
_CACHED: Final = re.compile(
    r"(?:cache|caches|dist|build|target|out|output|vendor|packages)/(?=.*\.\w{1,5}\Z)"
)
"""What builds keep beside their sources: by the folder's name."""
_VOLUME: Final = re.compile(
    r"/var/lib/kubelet/(?:pods/[0-9a-f-]{36}/volumes|plugins/kubernetes\.io/csi)/[\w.~/-]+/(?:global)?mount\Z"
)
"""Where kubelet has volumes mounted, and nothing of its own."""
_DISK: Final = re.compile(r"(?<=\A/dev/)(nvme|dm-|rbd|nbd)[1-9]\d*(?:n\d+)?(?:p\d+)?\Z")
"""A disk that is attached later; the first may be the machine's own."""
_DEVICE: Final = re.compile(
    r"(?<=\A/dev/)(tty(?:USB|ACM|AMA|S)|video|media|dvb/adapter|hidraw|i2c-|gpiochip|spidev|usb/lp|lp|nvidia"
    r"|accel/accel|infiniband/uverbs|input/event|snd/pcmC|rtc)\d+(?=\Z|/)"
)
"""One of several devices of a kind."""
_PLAINLY_HIDDEN: Final = words(
    """
    . .. .cache .gradle .m2 .next .npm .nuxt .parcel-cache .pnpm-store .pytest_cache .terraform .tox
    .venv .yarn
    """
)
"""Folders that tools make so for what they can make again."""
SERVED: Final = words("html htdocs wwwroot www webroot public public_html static uploads upload")
"""Folders that are mostly handed out to strangers: a data file's class names them."""
RUN_FROM: Final = words("bin sbin libexec hooks")
"""Folders whose files are run, whatever they are called: a file's class names them, too."""
_LONGEST: Final = 10
_TWO_DEEP: Final = frozenset({"var", "usr", "opt", "srv", "mnt", "media"})
_PROGRAMS: Final = words(
    """
    sh bash zsh ksh py pyc pyz js mjs cjs ts rb pl pm php phar lua so jar war class ko o elf exe dll
    wasm rpm deb apk whl gem ps1 awk sed tcl r jsp
    """
)
_CODE: Final = _PROGRAMS | words(
    """
    conf cfg cnf ini env yaml yml toml xml properties service timer desktop rules policy
    pem key crt p12 jks kubeconfig sql
    """
)
_WRITABLE_EXE: Final = (*SCRATCH, "/run", "/var/run", "/home", "/root", "/var/www", "/var/lib", "/var/log")


class PathClass(NamedTuple):
    """`text` is the normal path, `slot` what it must be known by (None: anybody may)."""

    text: str
    slot: str | None


def under(path: str, prefixes: tuple[str, ...]) -> str | None:
    """Return the longest of `prefixes` that is `path` or a directory above it, else None."""
    best: str | None = None
    for prefix in prefixes:
        if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
            best = prefix if best is None or len(prefix) > len(best) else best
    return best


@lru_cache(maxsize=4096)
def is_sensitive(path: str) -> bool:
    """Say whether an absolute path is known by itself only. Scratch memory is not."""
    if under(path, SCRATCH):
        return False
    return under(path, SENSITIVE) is not None or path.endswith(".sock")


@lru_cache(maxsize=4096)
def leads_to_sensitive(path: str) -> bool:
    """Say whether `path` is sensitive or a directory above something sensitive."""
    stem = path.rstrip("/") + "/"
    return is_sensitive(path) or any(prefix.startswith(stem) for prefix in SENSITIVE)


@lru_cache(maxsize=4096)
def classed(path: str) -> PathClass:
    """Return the normal text and the slot of a path as it stands on a command line."""
    if path.startswith("/"):
        return _absolute(path)
    if path.startswith("~"):
        return _placed(path, path)
    if "/" not in path and "*" in path:
        return PathClass(softened(path), None)  # a pattern of names, and no file
    clean = posixpath.normpath(path.removesuffix("/..."))  # as Go spells whatever lies below
    if clean.startswith(".."):
        above = clean.lstrip("./")
        return PathClass(softened(clean), "../" + (_CACHED.match(above) or [above])[0])
    dot = "./" if path.startswith("./") and clean != "." else ""
    return _placed(dot + clean, path)


def _absolute(path: str) -> PathClass:
    clean = posixpath.normpath(path)
    clean = "/" + clean.lstrip("/")
    if (
        clean in HARMLESS
        or clean in _READ_BY_ALL
        or clean.startswith(("/dev/fd/", "/dev/dri/"))
        or _LOCK.match(clean)
    ):
        return PathClass(clean, None)
    if is_sensitive(clean):
        exact = _sensitive(clean)
        return PathClass(exact, exact)
    return _placed(clean, path)


def _sensitive(path: str) -> str:
    if path.startswith("/proc/"):
        first, slash, rest = path[len("/proc/") :].partition("/")
        # Any process's number but the first's changes from run to run.
        pid = "<number>" if first.isdigit() and first != "1" else first
        return f"/proc/{pid}{slash}{rest}"
    if _VOLUME.match(path):
        return "/var/lib/kubelet/<volume>"
    return _DISK.sub(r"\1<number>", strictly_softened(_DEVICE.sub(r"\1<number>", path)))


def _placed(clean: str, written: str) -> PathClass:
    if "/**/" in clean:  # a pattern of files of one kind, at any depth
        clean = clean.replace("/**/", "/")
    text = softened(clean)
    folder, _, name = text.rpartition("/")
    hidden = "/.*" if any(_is_hidden(part) for part in clean.split("/")) else ""
    extension = extension_of(name)
    if extension in _CODE:
        start = f"{folder}{hidden}/" if folder or clean.startswith("/") or hidden else ""
        return PathClass(text, f"{start}*.{extension}")
    if clean.startswith("/"):
        if extension and not hidden and not under(clean, SCRATCH):
            # What users upload and reports that jobs write: one kind of file in one folder.
            text = f"{folder}/<file>.{extension}"
        return PathClass(text, place_of(clean) + (hidden or _served(clean)))
    if clean.startswith("~"):
        return PathClass(text, "~" + hidden)
    # `feature/x` and `./packages/x` are names of trees; `./x` is a file that lies where the process works.
    is_near = written.startswith("./") and "/" not in written[2:].rstrip("/")
    return PathClass(text, f"./{hidden}" if is_near or hidden else None)


def extension_of(name: str) -> str:
    """Return the last extension in lower case, if it is one; a version behind `.so` does not hide it."""
    if ".so." in name:
        return "so"
    stem, _, extension = name.rpartition(".")
    return extension.lower() if stem and extension.isalnum() and len(extension) <= _LONGEST else ""


def is_code(name: str) -> bool:
    """Say whether a file of this name holds code or configuration."""
    return extension_of(name) in _CODE


def is_program(name: str) -> bool:
    """Say whether a file of this name holds code."""
    return extension_of(name) in _PROGRAMS


def place_of(path: str) -> str:
    """Return the part of an absolute path that its class is named by: `/data`, `/var/lib`, `/tmp`."""
    scratch = under(path, SCRATCH)
    if scratch:
        return scratch
    parts = path.split("/")
    # "" + one or two parts; what lies below /var and has no extension is a folder.
    is_folder = len(parts) == 3 and parts[1] == "var" and "." not in parts[2]  # noqa: PLR2004
    deep = 3 if is_folder or (len(parts) > 3 and parts[1] in _TWO_DEEP) else 2  # noqa: PLR2004
    return softened("/".join(parts[:deep])) or "/"


def _served(path: str) -> str:
    """Return the first folder of a path, below its place, that is handed out or run from, as `/public`."""
    below = path[len(place_of(path)) :].split("/")[1:-1]
    return next((f"/{part}" for part in below if part in SERVED or part in RUN_FROM), "")


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part not in _PLAINLY_HIDDEN


class ExePlace(NamedTuple):
    """Where a program lies: `text` its normal path, `place` its class, `fixed` if the image brings it."""

    text: str
    place: str
    fixed: bool


@lru_cache(maxsize=4096)
def exe_place(exe: str) -> ExePlace:
    """Return the class of an executable's path.

    `memfd:…` and deleted files live in memory only. Directories of programs and libraries are
    fixed: the same name elsewhere among them is the same program.
    """
    if exe.startswith(("memfd:", "/memfd:")):
        return ExePlace("memfd:", "memfd:", fixed=False)
    if exe.endswith(" (deleted)"):
        return ExePlace(strictly_softened(exe), "deleted", fixed=False)
    if not exe.startswith("/"):
        return ExePlace(exe, "./" if "/" in exe else "?", fixed=False)
    clean = "/" + posixpath.normpath(exe).lstrip("/")
    fixed = under(clean, BIN) or under(clean, LIB)
    if fixed:
        return ExePlace(strictly_softened(clean), "image", fixed=True)
    writable = under(clean, _WRITABLE_EXE)
    return ExePlace(softened(clean), writable or place_of(clean), fixed=False)

# SPDX-License-Identifier: Apache-2.0
"""One virtual machine: a kernel on this machine's own files, read-only below a layer that is thrown away."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from habitus_vm import initramfs
from habitus_vm.kernels import Kernel, KernelFault

_QEMU: Final = "qemu-system-x86_64"
_VIRTIOFSD: Final = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "virtiofsd")
_DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
_SOCKET_S: Final = 10.0
_POLL_S: Final = 0.1
# Without the bind mount the guest would meet the host's /proc and /sys; what else is mounted below `/`
# and is wanted is bound beside it.
_BIND: Final = (
    'root=$1; shift; mount --bind / "$root" || exit; '
    'while [ "$1" != -- ]; do mount --bind "$1" "$root$1" || exit; shift; done; shift; exec "$@"'
)


@dataclass(frozen=True)
class Size:
    """What a machine gets, and how it is run."""

    memory_mb: int = 2560
    cpus: int = 2
    accelerator: str = "tcg,thread=multi,tb-size=512"
    counts: bool = False
    """The machine's clock counts instructions, one a nanosecond; `cpus` must be 1 then."""

    @classmethod
    def counting(cls) -> Self:
        """Return a machine whose clock counts instructions."""
        return cls(cpus=1, accelerator="tcg,thread=single,tb-size=512", counts=True)


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `status` is the command's, None when there is none; `fault` then says why."""

    status: int | None
    fault: str
    booted_s: float
    took_s: float


def run(
    kernel: Kernel,
    command: str,
    scratch: Path,
    *,
    limit_s: float,
    size: Size | None = None,
    mounts: tuple[Path, ...] = (),
    hear: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Boot `kernel`, run `command` by sh as root, and end the machine whatever happens.

    `scratch` (an empty folder) keeps `output` and `console`; `mounts` are mount points other than `/`
    that the command needs; `hear` gets each line of output as it comes.

    Raises:
        KernelFault: a tool is missing here.
    """
    began = time.monotonic()
    (scratch / "work").mkdir()
    (scratch / "host").mkdir()
    shutil.copy(initramfs.GUEST / "session.sh", scratch / "work")
    (scratch / "work" / "command").write_text(command)
    image = initramfs.build(kernel, scratch)
    with _Processes(scratch / "log") as processes:
        bound = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            _BIND,
            "sh",
            str(scratch / "host"),
            *map(str, mounts),
            "--",
        ]
        processes.share(scratch / "host.socket", scratch / "host", "always", before=bound, read_only=True)
        processes.share(scratch / "kernel.socket", kernel.root, "always", read_only=True)
        processes.share(scratch / "work.socket", scratch / "work", "never")
        machine = processes.start(_qemu(kernel, image, scratch, size or Size()))
        lines = _Lines(scratch / "work" / "output", hear)
        in_time = _wait(machine, began + limit_s, lines.follow)
    lines.follow()
    return _outcome(scratch, began, "" if in_time else f"it took longer than {limit_s:.0f} s")


def _wait(machine: subprocess.Popen[bytes], until: float, meanwhile: Callable[[], None]) -> bool:
    while machine.poll() is None:
        if time.monotonic() > until:
            return False
        meanwhile()
        time.sleep(_POLL_S)
    return True


def _outcome(scratch: Path, began: float, fault: str) -> Outcome:
    status = _number(scratch / "work" / "status")
    if status is None and not fault:
        fault = "the machine ended before the command did" if _booted(scratch) else "it did not boot"
    return Outcome(
        None if status is None else int(status), fault, _booted(scratch), time.monotonic() - began
    )  # fmt: skip


def _booted(scratch: Path) -> float:
    return _number(scratch / "work" / "booted") or 0.0


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def _qemu(kernel: Kernel, image: Path, scratch: Path, size: Size) -> list[str]:
    command = [
        _QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-M", "q35,memory-backend=memory", "-accel", size.accelerator, "-cpu", "max",
        "-smp", str(size.cpus), "-m", f"{size.memory_mb}M",
        # vhost-user needs memory that another process can map
        "-object", f"memory-backend-memfd,id=memory,size={size.memory_mb}M,share=on",
        "-kernel", str(kernel.image), "-initrd", str(image),
        "-append", "console=ttyS0 panic=-1 mitigations=off",
        "-serial", f"file:{scratch / 'console'}",
        "-netdev", "user,id=network,restrict=on", "-device", "virtio-net-pci,netdev=network",
    ]  # fmt: skip
    if size.counts:
        command += ["-icount", "shift=0"]
    for tag in ("host", "kernel", "work"):
        command += ["-chardev", f"socket,id={tag},path={scratch / tag}.socket"]
        command += ["-device", f"vhost-user-fs-pci,chardev={tag},tag={tag},queue-size=1024"]
    return command


class _Lines:
    """Hands on what a growing file gets."""

    def __init__(self, path: Path, hear: Callable[[str], None]) -> None:
        self._path = path
        self._hear = hear
        self._at = 0

    def follow(self) -> None:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as handle:
            handle.seek(self._at)
            for line in handle:
                if not line.endswith(b"\n"):
                    return
                self._at += len(line)
                self._hear(line.decode("utf-8", "backslashreplace").rstrip())


class _Processes:
    """What was started for one machine. None outlives this block, nor this program."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        program = command[0]
        if not shutil.which(program):
            raise KernelFault(f"{program} is missing: deploy/setup/bootstrap.sh vm")
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*_DIES_WITH_US, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._running.append(process)
        return process

    def share(
        self,
        socket: Path,
        folder: Path,
        cache: str,
        *,
        before: list[str] | None = None,
        read_only: bool = False,
    ) -> None:
        """Serve a folder by virtiofsd, and wait until it listens."""
        server = next((name for name in _VIRTIOFSD if shutil.which(name)), None)
        if server is None:
            raise KernelFault("virtiofsd is missing: deploy/setup/bootstrap.sh vm")
        command = [
            *(before or ()), server, "--sandbox=none", "--seccomp=none", "--no-announce-submounts",
            f"--socket-path={socket}", f"--shared-dir={folder}", f"--cache={cache}",
        ]  # fmt: skip
        process = self.start([*command, "--readonly"] if read_only else command)
        for _ in _until(_SOCKET_S):
            if socket.exists():
                return
            if process.poll() is not None:
                break
        raise KernelFault(f"virtiofsd does not serve {folder}: {_last_line(self._log)}")


def _until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(_POLL_S / 2)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="backslashreplace").splitlines() if path.is_file() else []
    return lines[-1].strip() if lines else "it says nothing"

# SPDX-License-Identifier: Apache-2.0
"""The child process that runs bcc, seen as the kernel side: cgroups go in, records come out."""

import asyncio
import contextlib
import json
import os
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus.text import printable
from habitus_collector.libbpf import Map
from habitus_collector.loaders.bcc import headers
from habitus_collector.records import LOSS_CLASSES
from habitus_collector.ring_buffer import RingBuffer

PYTHON: Final = Path("/usr/bin/python3")
ADVICE: Final = "the loader bcc needs Debian's bcc for the system's Python: apt-get install python3-bpfcc"
CLASSES: Final = ("process", "file", "network")
"""Sensors that it has something for."""
_CHILD: Final = Path(__file__).with_name("child.py")
_FRAME: Final = struct.Struct("=II")
_LOSS: Final = struct.Struct("=IQ")
_SAYS, _RECORD, _LOST = 0, 1, 2
_AT_ONCE: Final = 1 << 18
_COMPILES_S: Final = 300.0  # a busy, emulated machine took 50 s with a kernel's headers, 4 s are usual
_ENDS_S: Final = 3.0


class Target(NamedTuple):
    """A cgroup whose events are wanted; `root` is its container's own, `epoch` that of its choice."""

    root: int
    epoch: int


class BccSide:
    """Stands where the core loader has its sensors.

    Attributes:
        hooks: names of the attached programs.
        targets: the cgroups whose events are wanted, by id.
    """

    rings: Sequence[RingBuffer] = ()

    def __init__(self, take: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._take = take
        self._ended = ended
        self._scratch = tempfile.TemporaryDirectory(prefix="habitus-bcc-", ignore_cleanup_errors=True)
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._lost: Counter[str] = Counter()
        self.hooks: list[str] = []
        self.targets: dict[int, Target] = {}

    async def start(self, settings: CollectorSettings) -> None:
        """Compile and attach.

        Raises:
            ServiceFault: this machine lacks something, or bcc refuses; one line.
        """
        environment = await asyncio.to_thread(self._prepare)
        words = Path(self._scratch.name) / "words"
        with words.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                PYTHON, "-I", _CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env={**os.environ, **environment}, limit=_AT_ONCE,
            )  # fmt: skip
        watched = [name for name in CLASSES if name in settings.sensors]
        self._write({"argv_bytes": settings.max_argv_bytes, "sensors": watched})
        try:
            kind, payload = await asyncio.wait_for(self._frame(), _COMPILES_S)
        except asyncio.IncompleteReadError:
            raise ServiceFault(f"bcc ended before it said anything{_first_error(words)}") from None
        except TimeoutError:
            raise ServiceFault(
                f"bcc still compiles after {_COMPILES_S:g} s: try again when this node has less to do"
            ) from None
        said = json.loads(payload) if kind == _SAYS else {}
        if "hooks" not in said:
            fault = said.get("fault", "it speaks another version")
            raise ServiceFault(f"bcc: {printable(fault)}{_first_error(words)}")
        self.hooks = list(said["hooks"])

    def begin(self) -> None:
        """Read records from now on."""
        self._tasks.append(asyncio.ensure_future(self._read()))

    def target(self, cgroup: int, root: int, profile: int = 0, epoch: int = 0) -> None:
        """Send the events of `cgroup`; a profile's number says nothing here, there is no cache."""
        del profile
        self.targets[cgroup] = Target(root, epoch)
        self._write({"target": [cgroup, root, 0]})

    def ignore(self, cgroup: int) -> None:
        """Send no event of `cgroup`."""
        self.targets.pop(cgroup, None)
        self._write({"target": [cgroup, 0, 1]})

    def forget(self, cgroup: int) -> None:
        """Treat `cgroup` as never seen."""
        self.targets.pop(cgroup, None)
        self._write({"target": [cgroup]})

    def arrived(self, pid: int, cgroup: int) -> None:
        """Let a process that was listed count as one that was seen to start."""
        self._write({"arrived": [pid, cgroup]})

    def losses(self) -> dict[str, int]:
        """Return how many records of each class their buffers could not take."""
        return dict(self._lost)

    def losses_of(self) -> dict[int, dict[str, int]]:
        """Return nothing: a buffer does not tell whose record it could not take."""
        return {}

    def revise(self, profile: int, revision: int) -> None:
        """Do nothing: there is no cache."""

    def know(self, token: bytes, revision: int) -> None:
        """Do nothing: there is no cache."""

    def drain(self) -> bool:
        """Return that nothing waits: records are handed over as they come."""
        return False

    def ring_use(self) -> float:
        """Return 0: perf buffers do not tell how full they are; what they could not take is counted."""
        return 0.0

    def list_running(self) -> None:
        """Do nothing: the loader reads /proc, for older kernels cannot list tasks from a program."""

    def map(self, name: str) -> Map | None:
        """Return None: the maps are the child's."""
        del name
        return None

    def passed(self) -> dict[str, int]:
        """Return nothing: no event is held back."""
        return {}

    def forget_profiles(self, numbers: Sequence[int]) -> None:
        """Do nothing: there is no cache."""

    def close(self) -> None:
        """End the child; safe to call twice."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._scratch.cleanup()

    async def gone(self) -> None:
        """End the child and wait until it is gone."""
        self.close()
        if self._process:
            if self._process.stdin:
                self._process.stdin.close()
            await self._process.wait()

    def _prepare(self) -> dict[str, str]:
        found = subprocess.run([PYTHON, "-I", "-c", "import bcc"], capture_output=True, check=False)
        if found.returncode:
            raise ServiceFault(ADVICE)
        return headers.environment(Path(self._scratch.name))

    def _write(self, line: Any) -> None:
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(line).encode() + b"\n")

    async def _frame(self) -> tuple[int, bytes]:
        stream = self._process.stdout if self._process else None
        assert stream is not None  # noqa: S101  # a pipe was asked for
        kind, length = _FRAME.unpack(await stream.readexactly(_FRAME.size))
        return kind, await stream.readexactly(length)

    async def _read(self) -> None:
        try:
            while True:
                kind, payload = await self._frame()
                if kind == _RECORD:
                    self._take(payload)
                elif kind == _LOST:
                    class_, count = _LOSS.unpack(payload)
                    self._lost[LOSS_CLASSES[class_]] += count
        except asyncio.IncompleteReadError:
            self._ended()


def _first_error(words: Path) -> str:
    """Return what the compiler complained of first, ready to follow another text."""
    lines = words.read_text(errors="backslashreplace").splitlines()
    found = next((line for line in lines if "error:" in line), "")
    return f" ({printable(found.strip(), 200)})" if found else ""

# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive this one, and that end in order."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from habitus.text import printable

_GRACE_S: Final = 10


@dataclass
class Child:
    """A started program; what it says goes to the file `log`."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    @property
    def resident_mb(self) -> float:
        """Resident memory in MiB, 0 where /proc does not tell."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
        return 0.0

    def last_words(self) -> str:
        """Return the last line that it wrote, safe to show."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            if lines:
                return printable(lines[-1], 500)
        return f"{self.name} said nothing"

    async def stop(self) -> None:
        """Ask it to end, wait, and only then kill it."""
        if not self.running:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), _GRACE_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start(
    name: str, command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Child:
    """Start a program in a session of its own: a Ctrl-C of the terminal reaches only us."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *_bound(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=dict(environment) if environment is not None else dict(os.environ),
            start_new_session=True,
        )
    return Child(name, process, log)


def _bound(command: list[str]) -> list[str]:
    """Have the kernel end the child should this process be killed, where util-linux can ask for it."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *command] if setpriv else command

# SPDX-License-Identifier: Apache-2.0
"""Builds the timed loops and runs them, inside a cgroup named like a container's or outside."""

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).with_name("workload.c")
_FILES: Final = 16
_CPU: Final = "1" if (os.cpu_count() or 1) > 1 else "0"


class Workload:
    """The built loops, the files that they open and the listener that they connect to."""

    def __init__(self, scratch: Path) -> None:
        self._binary = scratch / "workload"
        subprocess.run(["cc", "-O2", "-Wall", "-o", str(self._binary), str(_SOURCE)], check=True)
        self.folder = scratch / "files"
        self.folder.mkdir()
        for number in range(_FILES):
            (self.folder / f"f{number}").write_text("x")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def fill(self, count: int) -> None:
        """Make `count` files, each to be opened once by the mode `fresh`."""
        for number in range(count):
            (self.folder / f"n{number}").touch()

    def nanoseconds(self, mode: str, count: int, cgroup: Path | None, rate: int = 1) -> float:
        """Run one loop to its end; return nanoseconds an operation.

        Raises:
            RuntimeError: the loop failed; its own words.
        """
        done = subprocess.run(
            self.command(mode, count, cgroup, rate), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or f"workload {mode}: exit {done.returncode}")
        return float(done.stdout)

    def command(self, mode: str, count: int, cgroup: Path | None, rate: int = 1) -> list[str]:
        """Return the command line of one loop, on a CPU of its own."""
        words = [str(self._binary), mode, str(count), str(self.folder), str(self.port), str(rate)]
        return ["taskset", "-c", _CPU, *words, *([str(cgroup)] if cgroup else [])]

    def _accept(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                self._listener.accept()[0].close()

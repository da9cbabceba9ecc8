# SPDX-License-Identifier: Apache-2.0
"""Alerts as JSON Lines in a file that is turned over by size."""

import asyncio
import os
from pathlib import Path
from typing import Final

from pydantic import Field

from habitus.alerts import Alert
from habitus.plugins import PluginFault
from habitus.sections import Section
from habitus.sinks import SinkFault, SinkServices
from habitus.text import safe_json

_MIB: Final = 1 << 20


class FileSettings(Section):
    """Which file, how large it gets, how many older ones are kept."""

    path: Path = Field(description="file to append to; older ones are PATH.1, PATH.2, …")
    max_mb: float = Field(default=64, gt=0, description="a new file is begun beyond this")
    keep: int = Field(default=5, ge=0, le=1000, description="older files that are kept")


class FileSink:
    """Appends one line an alert."""

    def __init__(self, services: SinkServices) -> None:
        settings = services.checked(FileSettings)
        self._lines = Lines(f"setting scorer.sink.{services.name}.path", settings)

    async def send(self, alert: Alert) -> None:
        """Append one line; return when it is on the disk."""
        await self._lines.append(safe_json(alert.model_dump_json()))


class Lines:
    """A file of lines, turned over by size, readable by its owner alone."""

    def __init__(self, whose: str, settings: FileSettings) -> None:
        """Try the file.

        Raises:
            PluginFault: it cannot be written.
        """
        self._path, self._keep = settings.path, settings.keep
        self._most = int(settings.max_mb * _MIB)
        try:
            self._write(b"")
        except OSError as error:
            raise PluginFault(f"{whose} {settings.path}: {error.strerror}") from None

    async def append(self, line: str) -> None:
        """Append one line; return when it is on the disk.

        Raises:
            SinkFault: the disk is full, the folder is gone, …
        """
        try:
            await asyncio.to_thread(self._write, line.encode() + b"\n")
        except OSError as error:
            raise SinkFault(f"cannot be written: {error.strerror}") from None

    def _write(self, line: bytes) -> None:
        if line and self._size() and self._size() + len(line) > self._most:
            self._turn_over()
        out = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(out, "rb+", buffering=0) as file:
            before = os.fstat(out).st_size
            # A line that a killed process left half written must not swallow this one.
            torn = before and os.pread(out, 1, before - 1) != b"\n"
            data = b"\n" + line if torn and line else line
            if data and file.write(data) != len(data):
                os.ftruncate(out, before)
                raise OSError(28, "No space left on device")
            os.fsync(out)

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _turn_over(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        if self._keep:
            self._path.replace(self._numbered(1))
        else:
            self._path.unlink()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

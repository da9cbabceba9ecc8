# SPDX-License-Identifier: Apache-2.0
"""Events from a file in the interchange format, as if the kernel had sent them."""

import asyncio
import logging
from pathlib import Path

from habitus.interchange import BadLine, read_lines
from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus.targets import Targets
from habitus_collector.loaders import LoaderStatus, Outlet

log = logging.getLogger(__name__)


class ReplayLoader:
    """Publishes the good lines in order; each bad one is reported with its number and skipped."""

    name = "replay"
    verdicts = None

    def __init__(self, settings: CollectorSettings) -> None:
        self._path = settings.replay_file
        self.good = 0
        self.bad = 0

    async def run(self, outlet: Outlet, started: asyncio.Event, stop: asyncio.Event) -> None:
        """Publish the file and return.

        Raises:
            ServiceFault: no file is set, or it cannot be read.
        """
        if self._path is None:
            raise ServiceFault("the loader `replay` needs a file: set collector.replay_file")
        try:
            await self._publish(self._path, outlet, started, stop)
        except OSError as error:
            raise ServiceFault(f"collector.replay_file {self._path}: {error.strerror}") from None
        log.info("%s: %d events published, %d lines skipped", self._path, self.good, self.bad)

    def select(self, targets: Targets) -> None:
        """All of the file is published: what is in it was chosen when it was recorded."""

    def status(self) -> LoaderStatus:
        """A file has neither hooks nor losses."""
        return LoaderStatus()

    def close(self) -> None:
        """The file was let go of when it was read."""

    async def _publish(self, path: Path, outlet: Outlet, started: asyncio.Event, stop: asyncio.Event) -> None:
        with path.open("rb") as lines:
            started.set()
            for line in read_lines(lines):
                if stop.is_set():
                    return
                if isinstance(line, BadLine):
                    self.bad += 1
                    log.error("%s:%d: %s", path, line.number, line.reason)
                    continue
                if line.warning:
                    log.warning("%s:%d: %s", path, line.number, line.warning)
                self.good += 1
                outlet.add(line.event)
                await outlet.room()

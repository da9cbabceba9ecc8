# SPDX-License-Identifier: Apache-2.0
"""The real line as processes of its own: nats-server, embedder, profiler; the collector comes and goes."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from habitus import subjects
from habitus.bus import Bus
from habitus.nodes import NodeStatus
from habitus_console import profiles
from habitus_testing import NatsServer, ServiceProcess, start_service

NODE: Final = "bench"
SENSORS: Final = "process,file,network"
_TICK: Final = os.sysconf("SC_CLK_TCK")


class Line:
    """Everything behind the collector, running; `bus` speaks to it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.nats = NatsServer(scratch / "nats", secrets.token_hex(8))
        self.nats.folder.mkdir()
        self._services: list[ServiceProcess] = []
        self.bus: Bus

    async def start(self) -> None:
        """Start the broker, the embedder and the profiler."""
        self.nats.start()
        for service in ("embedder", "profiler"):
            log = self.scratch / f"{service}.log"
            self._services.append(
                start_service(
                    service,
                    self.nats.environment,
                    log,
                    HABITUS_EMBEDDER_PORT="0",
                    HABITUS_PROFILER_GUARD="off",  # no scorer is there to wait for
                )
            )
        self.bus = Bus(self.nats.settings, "bench")
        await self.bus.connect()

    async def stop(self) -> None:
        """End all of it."""
        await self.bus.close()
        for service in self._services:
            service.end()
        self.nats.stop()

    @contextlib.contextmanager
    def collector(self) -> Iterator[ServiceProcess]:
        """Run the collector with every sensor that is timed."""
        process = start_service(
            "collector",
            self.nats.environment,
            self.scratch / "collector.log",
            HABITUS_COLLECTOR_NODE=NODE,
            HABITUS_COLLECTOR_SENSORS=SENSORS,
            HABITUS_COLLECTOR_DISCOVERY="",
        )
        if process.child.poll() is not None:
            raise RuntimeError(process.said.strip())
        try:
            yield process
        finally:
            process.end()

    async def learned(self) -> None:
        """Turn every profile to detect, once all that is stored is learned."""
        info = await self.bus.js.stream_info(subjects.EVENTS)
        await profiles.converge(self.bus, dict.fromkeys(range(32), info.state.last_seq), freeze=False)

    async def status(self) -> NodeStatus:
        """Return what the collector last said of its node."""
        bucket = await self.bus.js.key_value(subjects.NODES)
        entry = await bucket.get(NODE)
        return NodeStatus.model_validate_json(entry.value or b"{}")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (10⁶ bytes)."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0

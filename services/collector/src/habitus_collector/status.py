# SPDX-License-Identifier: Apache-2.0
"""Writes the node's status to the bucket NODES, and says once when something more was lost."""

import asyncio
import logging
import os
import time
from collections import Counter
from typing import Final

from nats.js.api import KeyValueConfig
from nats.js.kv import KeyValue
from pydantic import ValidationError

from habitus import subjects
from habitus.bus import Bus
from habitus.nodes import NodeStatus
from habitus.publish import FAULTS
from habitus_collector.loaders import Loader
from habitus_collector.losses import Losses
from habitus_collector.memory import AfterStorms
from habitus_collector.outlet import Outlet
from habitus_collector.spool import age_s

log = logging.getLogger(__name__)

_EVERY_S: Final = 2.0
_LOOKS: Final = 2


class StatusReporter:
    """One node's status, every two seconds; and what was lost, to the profilers, every second."""

    def __init__(self, bus: Bus, node: str, loader: Loader, outlet: Outlet, losses: Losses) -> None:
        self._bus = bus
        self._node = node
        self._loader = loader
        self._outlet = outlet
        self._losses = losses
        self._storms = AfterStorms()
        self._bucket: KeyValue | None = None
        self._lost: dict[str, int] = {}

    async def run(self, started: asyncio.Event) -> None:
        """Tell for ever, from the moment when the loader watches."""
        await started.wait()
        await self._look_back()
        while True:
            await self.write()
            for _ in range(_LOOKS):
                await asyncio.sleep(_EVERY_S / _LOOKS)
                self.look()

    def look(self) -> None:
        """Tell the profilers what was lost since the last look."""
        loader = self._loader.status()
        self._outlet.lost(self._losses.notices(loader.lost, loader.images, loader.lost_of))
        self._storms.look(self._outlet.events.total(), self._outlet.queued)

    async def write(self, seen_until: int | None = None) -> None:
        """Write once; a broker that is away is left to the bus to report.

        `seen_until`: when the loader ended (nanoseconds since the epoch), where it has.
        """
        status = self.status()
        status.updated = seen_until or status.updated
        self._report_losses(status.lost)
        if not self._bus.nc.is_connected:
            return  # the client would keep it in memory, and it would be old when it goes
        try:
            if self._bucket is None:
                config = KeyValueConfig(bucket=subjects.NODES)
                self._bucket = await self._bus.js.create_key_value(config)
            await self._bucket.put(subjects.token_of(self._node), status.model_dump_json().encode())
        except FAULTS as error:
            log.debug("bucket NODES: %s", error or type(error).__name__)

    async def _look_back(self) -> None:
        """Count the time since this node's last status as lost: what containers did in it, nobody saw."""
        try:
            bucket = await self._bus.js.key_value(subjects.NODES)
            entry = await bucket.get(subjects.token_of(self._node))
            before = NodeStatus.model_validate_json(entry.value or b"")
        except (*FAULTS, ValidationError) as error:
            log.debug("no status from before: %s", error or type(error).__name__)
            return
        if before.updated:
            self._losses.away(before.updated)

    def status(self) -> NodeStatus:
        """Return the status as it is now."""
        loader = self._loader.status()
        return NodeStatus(
            node=self._node,
            loader=self._loader.name,
            kernel=os.uname().release,
            hooks=loader.hooks,
            sources=loader.sources,
            containers=loader.containers,
            events=dict(self._outlet.events),
            lost=dict(Counter(loader.lost) + self._losses.total),
            known=dict(loader.known),
            cached_images=self._loader.verdicts.images if self._loader.verdicts else 0,
            queued=self._outlet.queued,
            spooled=self._outlet.spooled,
            waiting_s=round(age_s(self._outlet.waiting_since), 3),
            ring=round(loader.ring, 4),
            updated=time.time_ns(),
        )

    def _report_losses(self, lost: dict[str, int]) -> None:
        if lost != self._lost:
            parts = ", ".join(f"{name} {count}" for name, count in sorted(lost.items()))
            log.warning("events lost since the start: %s", parts)
            self._lost = lost

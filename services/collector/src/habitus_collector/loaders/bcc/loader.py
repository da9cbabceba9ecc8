# SPDX-License-Identifier: Apache-2.0
"""Events from a kernel without BTF, by Debian's bcc: what raw tracepoints give."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from habitus.events import Event
from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus_collector import cgroups, environment
from habitus_collector.cgroups import Levels
from habitus_collector.clock import Clock
from habitus_collector.loaders import Outlet
from habitus_collector.loaders.bcc import records
from habitus_collector.loaders.bcc.running import Listed, Running
from habitus_collector.loaders.bcc.side import CLASSES, BccSide
from habitus_collector.loaders.core import CoreLoader
from habitus_collector.translate import NOBODY
from habitus_collector.watch import Watch

log = logging.getLogger(__name__)

_AGAIN_S = 1.0


class BccLoader(CoreLoader):
    """The core loader on another kernel side: cgroups, discovery and names are the same."""

    name = "bcc"

    def __init__(self, settings: CollectorSettings) -> None:
        super().__init__(settings.model_copy(update={"verdict_cache": False}))
        self._clock = Clock(time.CLOCK_MONOTONIC)  # the boot clock's helper came with 5.8 only
        self._side: BccSide
        self._tree = Path()
        self._running: Running

    async def run(self, outlet: Outlet, started: asyncio.Event, stop: asyncio.Event) -> None:
        """Watch the containers of this node until `stop`.

        Raises:
            ServiceFault: this machine lacks something, or bcc ended; one line says what.
        """
        for fault in environment.basic_faults():
            raise ServiceFault(fault)
        absent = [sensor for sensor in self._chosen if sensor.object and sensor.object not in _OBJECTS]
        for sensor in absent:
            log.warning("the loader bcc has nothing for %s: it is not watched", sensor.object)
        over = asyncio.Event()
        self._side = BccSide(self._take, over.set)
        waiting = asyncio.ensure_future(_pass_on(stop, over))
        try:
            await self._side.start(self._settings)
            await super().run(outlet, started, over)
        finally:
            waiting.cancel()
            await self._side.gone()
        if not stop.is_set():
            raise ServiceFault("the process that runs bcc ended")

    def _open(self) -> Path:
        tree = cgroups.mount_point()
        assert tree is not None  # noqa: S101  # `basic_faults` named it otherwise
        self._tree = tree
        self._sensors = self._side
        self._running = Running(tree, min(self._settings.max_argv_bytes, records.ARGV_BYTES - 1))
        if not self._running.possible:
            log.warning("processes that run already are not listed: run in the host's pid namespace")
        self._side.begin()
        return tree

    def _pass(self, raw: bytes, watch: Watch) -> None:
        head = records.head_of(raw)
        if head.kind == records.GROUP:
            watch.announce(head.cgroup, self._levels(head.cgroup, records.group_path(raw)))
            return
        if not self._running.heard(head, self._side.targets):
            return
        event = records.event_of(raw, self._clock, self._settings.node)
        if event is not None and event.class_ in self._settings.sensors:
            watch.take(head.cgroup, event)

    def _list(self) -> None:
        if self._to_list and self._watch and self._running.possible:
            self._to_list = False
            self._begin_list()
            # Who is forked while this list is on its way is in the next; who was told of is passed over.
            asyncio.get_running_loop().call_later(_AGAIN_S, self._begin_list)

    def _begin_list(self) -> None:
        if self._watch:
            self._running.begin(self._side.targets, self._listed)

    def _listed(self, listed: Listed) -> None:
        self._side.arrived(listed.process.pid or 0, listed.cgroup)
        if self._watch and "process" in self._settings.sensors:
            event = Event(
                ts=self._clock.wall(listed.time),
                node=self._settings.node,
                class_="process",
                op="exec",
                container=NOBODY,
                process=listed.process,
            )
            self._watch.take(listed.cgroup, event)

    def _levels(self, cgroup: int, path: str) -> Levels:
        names = path.strip("/").split("/")
        above = [(self._id_of("/".join(names[:depth])), names[depth - 1]) for depth in range(1, len(names))]
        return [*above, (cgroup, names[-1])]

    def _id_of(self, path: str) -> int:
        with contextlib.suppress(OSError):
            return (self._tree / path).stat().st_ino
        return 0  # gone already


_OBJECTS = {f"{name}.bpf.o" for name in CLASSES}


async def _pass_on(one: asyncio.Event, other: asyncio.Event) -> None:
    await one.wait()
    other.set()

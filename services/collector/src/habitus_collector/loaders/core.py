# SPDX-License-Identifier: Apache-2.0
"""Events from the running kernel, by CO-RE objects and libbpf."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from habitus.events import Peer
from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus.targets import Targets
from habitus_collector import cgroups, environment, records, sensors
from habitus_collector.addresses import Addresses
from habitus_collector.attribution import Attribution
from habitus_collector.cgroups import Place
from habitus_collector.clock import Clock
from habitus_collector.kernel import Sensors
from habitus_collector.kernel_side import KernelSide
from habitus_collector.libbpf import LibbpfFault, Map
from habitus_collector.loaders import LoaderStatus, Outlet
from habitus_collector.losses import LossOf
from habitus_collector.profile_numbers import Profiles
from habitus_collector.pump import Pump
from habitus_collector.sensors import Surroundings
from habitus_collector.target_sets import selected
from habitus_collector.verdicts import VerdictCache
from habitus_collector.watch import Watch

log = logging.getLogger(__name__)

_SCAN_S: Final = 5.0
_MEBIBYTE: Final = 1 << 20


class CoreLoader:
    """Loads the sensors, sorts cgroups, names containers and brings their events."""

    name = "core"

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        self._chosen = sensors.choose(settings.sensors)
        self.addresses = Addresses()
        """Whose address is it, of all containers of this node, watched or not."""
        around = Surroundings(self.addresses, self._map, self._root_of, self._peer_in)
        self._readers = sensors.readers_of(self._chosen, around)
        self._clock = Clock()
        self._targets = selected(settings.targets)
        self._attribution = Attribution(settings, self.addresses, self._late)
        self.verdicts: VerdictCache | None = None
        self._sensors: KernelSide
        self._held = contextlib.ExitStack()
        self._watch: Watch | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._malformed = 0
        self._to_list = False
        self._last = LoaderStatus()

    async def run(self, outlet: Outlet, started: asyncio.Event, stop: asyncio.Event) -> None:
        """Watch the containers of this node until `stop`. What was loaded stays so until `close`.

        Raises:
            ServiceFault: this machine lacks something; one line says what.
        """
        tree = self._open()
        profiles = Profiles(self._sensors.forget_profiles)
        self._watch = Watch(
            self._sensors, outlet.add, self._attribution, profiles=profiles, targets=self._targets
        )
        self._attribution.watch = self._watch
        if self._settings.verdict_cache:
            self.verdicts = VerdictCache(self._sensors, profiles.find)
        pump = Pump(self._sensors, self._settings.batch_ms / 1000)
        try:
            self._watch.compare(cgroups.walk(tree))
            self._list()
            self._spawn(self._attribution.follow())
            ground = sensors.Ground(self._settings, tree, self._groups, self._watch.take)
            for sensor in self._chosen:
                if sensor.poll:
                    self._spawn(sensor.poll(ground))
            started.set()
            await self._scan_until(stop, tree)
        finally:
            pump.stop()
            await self._end()

    def close(self) -> None:
        """Detach and unload what `run` loaded. By `fentry` the kernel takes seconds for it."""
        self._held.close()

    def select(self, targets: Targets) -> None:
        """Put another target set in force."""
        self._targets = targets
        if self._watch:
            self._watch.select(targets)

    def status(self) -> LoaderStatus:
        """Return what is attached, who names containers, and what was lost."""
        if self._watch is None:
            return self._last
        lost = Counter(self._sensors.losses()) + self._watch.lost
        if self._malformed:
            lost["malformed"] = self._malformed
        sources = sorted(self._attribution.answered)
        known = self._sensors.passed()
        return LoaderStatus(
            hooks=self._sensors.hooks,
            sources=sources,
            containers=self._watch.containers,
            lost=lost,
            lost_of=self._lost_of(self._watch),
            known=known,
            images=self._watch.images(),
            ring=self._sensors.ring_use(),
        )

    def _open(self) -> Path:
        folder = environment.objects_folder(self._settings.objects)
        for fault in environment.faults(folder, sensors.objects_of(self._chosen)):
            raise ServiceFault(fault)
        tree = cgroups.mount_point()
        assert tree is not None  # noqa: S101  # `faults` named it otherwise
        ring = self._settings.ring_mb
        try:
            self._sensors = Sensors(
                self._chosen,
                folder,
                self._settings.max_argv_bytes,
                self._take,
                ring_bytes=int(ring * _MEBIBYTE) if ring else None,
                file_totals=self._settings.file_totals,
                file_rung=self._settings.file_rung,
            )
        except LibbpfFault as fault:
            log.debug("%s", fault.log)
            raise ServiceFault(str(fault)) from None
        self._held.callback(self._sensors.close)
        return tree

    def _take(self, raw: bytes) -> None:
        assert self._watch is not None  # noqa: S101  # the ring is read only after it stands
        try:
            self._pass(raw, self._watch)
        except records.RecordFault as fault:
            self._malformed += 1
            if self._malformed == 1:
                log.error("%s", fault)  # noqa: TRY400  # one line, no traceback
        except Exception:
            # Whatever an attacker found: one record is given up, and the others go on.
            self._malformed += 1
            if self._malformed == 1:  # said once: it could be said for every record of a flood
                log.exception("a record cannot be read")

    def _pass(self, raw: bytes, watch: Watch) -> None:
        head = records.head_of(raw)
        if head.kind == records.Kind.NEW_CGROUP:
            watch.announce(head.cgroup, records.new_cgroup(head, raw).levels)
        elif head.kind in self._readers:
            event = self._readers[head.kind](head, raw, self._clock, self._settings.node)
            if event is not None:
                watch.take(head.cgroup, event)
        else:
            raise records.RecordFault

    def _lost_of(self, watch: Watch) -> dict[int, LossOf]:
        found = ((cgroup, watch.of(cgroup), counts) for cgroup, counts in self._sensors.losses_of().items())
        return {
            cgroup: LossOf(watched.key or None if watched else None, counts)
            for cgroup, watched, counts in found
        }

    def _map(self, name: str) -> Map | None:
        return self._sensors.map(name) if self._watch else None

    def _root_of(self, cgroup: int) -> int:
        watched = self._watch.of(cgroup) if self._watch else None
        return watched.place.cgroup if watched else cgroup

    def _peer_in(self, cgroup: int) -> Peer | None:
        watched = self._watch.of(cgroup) if self._watch else None
        return watched.as_peer() if watched else None

    async def _scan_until(self, stop: asyncio.Event, tree: Path) -> None:
        watch = self._watch
        while watch:
            try:
                await asyncio.wait_for(stop.wait(), _SCAN_S)
            except TimeoutError:
                self._clock.adjust()
                watch.compare(cgroups.walk(tree))
            else:
                return

    def _groups(self) -> list[sensors.Group]:
        running = self._watch.running() if self._watch else ()
        return [sensors.Group(each.place.id, each.place.cgroup, each.folder) for each in running]

    def _late(self, place: Place) -> None:
        """A container's events count from now on, and processes of it may run already: have them listed.

        A change of the target set may choose many at once: one list tells of them all.
        """
        log.debug("what runs in %s is listed", place.id[:12])
        if not self._to_list:
            self._to_list = True
            asyncio.get_running_loop().call_soon(self._list)

    def _list(self) -> None:
        if self._to_list and self._watch:
            self._to_list = False
            self._sensors.list_running()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._last, self._watch = self.status(), None
        if self.verdicts:
            self.verdicts.close()
        await self._attribution.close()

# SPDX-License-Identifier: Apache-2.0
"""The kernel side as the collector sees it: loaded objects, the maps that sort cgroups, the ring."""

import logging
import mmap
import secrets
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from habitus_collector import memory, records, rungs
from habitus_collector.container_hooks import ContainerHooks
from habitus_collector.libbpf import BpfObject, Libbpf, LibbpfFault, Map
from habitus_collector.ring_buffer import RingBuffer
from habitus_collector.ring_use import RingUse
from habitus_collector.sensors import Sensor

log = logging.getLogger(__name__)

SHARED: Final = (
    *("losses", "lost_of", "passed"),
    *("targets", "seen", "arrivals", "arrived"),
    *("revisions", "known"),
)
"""Maps that all objects have in common."""
_ID: Final = struct.Struct("=Q")
_NUMBER: Final = struct.Struct("=I")
TARGET: Final = struct.Struct("=QIHH")
"""struct target of bpf/lib/container.h: root, profile, ignored, epoch."""
_KNOWN: Final = struct.Struct("=QQ")
_EPOCHS: Final = 0xFFFF
_UNLISTED: Final = "processes that run already are not listed"
PROFILES_LIMIT: Final = 4095
"""Numbers of profiles, from 1; PROFILES_MAX of bpf/lib/known.h."""


class Sensors:
    """The chosen sensors, loaded and attached. `close` detaches them."""

    def __init__(
        self,
        sensors: Sequence[Sensor],
        folder: Path,
        max_argv: int,
        take: Callable[[bytes], None],
        *,
        ring_bytes: int | None = None,
        file_totals: bool = True,
        file_rung: str = rungs.AUTO,
    ) -> None:
        """Load from `folder`. `ring_bytes`: room of each ring, where not what its sensor asks for.

        `file_totals`: what is read and written of open files is told, too. `file_rung`: by which hooks
        files are seen, one of rungs.py.

        Raises:
            LibbpfFault: an object does not load here.
        """
        self._library = Libbpf()
        self._objects: list[BpfObject] = []
        self._listers: list[BpfObject] = []
        self.rings: list[RingBuffer] = []
        self._uses: list[RingUse] = []
        self.take = take
        self._drained: list[bytes] = []
        self._ring_bytes = ring_bytes
        self._maps: dict[str, Map] = {}
        self._full: set[str] = set()
        self._file_totals = file_totals
        self._folder = folder
        self._constants = constants_of(max_argv, file_totals=file_totals)
        self.taken: dict[str, str] = {}
        """Objects that are loaded → why a cheaper one was refused, or ""."""
        try:
            for sensor in sensors:
                if sensor.object:
                    self._take(sensor, file_rung)
                if sensor.lister:
                    self._load_lister(folder / sensor.lister, self._objects[-1].map("ring"))
            # A ring each: no class's storm takes the room of another, and CPUs wait less for each other.
            maps = [loaded.map("ring") for loaded in self._objects]
            self.rings = [RingBuffer(self._library, ring, self._drained.append) for ring in maps]
            self._uses = [RingUse(ring) for ring in maps]
            for loaded in self._objects:
                loaded.attach()
            self.hooks_of_containers = ContainerHooks(self._library, self._objects)
        except LibbpfFault:
            self.close()
            raise
        self._cpus = self._library.cpus()
        memory.give_back()  # loading took some ten megabytes

    @property
    def hooks(self) -> list[str]:
        """Names of the programs, those included that hang on each container."""
        return [program for loaded in self._objects for program in loaded.programs]

    def map(self, name: str) -> Map | None:
        """Return a map by its name, whichever object has it, or None."""
        if name not in self._maps:
            found = (loaded.map(name) for loaded in self._objects if loaded.has_map(name))
            self._maps |= {each.name: each for each in found}
        return self._maps.get(name)

    def drain(self) -> bool:
        """Hand over the records that wait, in the order of their times; say whether there are more."""
        more = False
        for ring in self.rings:  # each gets its turn, however much another holds
            more |= ring.drain().more
        waiting, self._drained[:] = self._drained[:], []
        waiting.sort(key=records.time_of)
        for raw in waiting:
            self.take(raw)
        return more

    def target(self, cgroup: int, root: int, profile: int = 0, epoch: int = 0) -> None:
        """Send the events of `cgroup`, part of the container whose own cgroup is `root`.

        `profile` is the number of its image's profile, 0 while nobody knows the image. With another
        `epoch`, `list_running` tells again what was told under the one before.
        """
        self._set("targets", cgroup, TARGET.pack(root, profile, 0, epoch & _EPOCHS))
        self.hooks_of_containers.attach(root)

    def ignore(self, cgroup: int) -> None:
        """Send no event of `cgroup`."""
        self._set("targets", cgroup, TARGET.pack(0, 0, 1, 0))
        self.hooks_of_containers.detach(cgroup)

    def forget(self, cgroup: int) -> None:
        """Treat `cgroup` as never seen."""
        for name in ("targets", "seen"):
            self._maps[name].delete(_ID.pack(cgroup))
        for class_ in range(len(records.LOSS_CLASSES)):
            self._maps["lost_of"].delete(_ID.pack(cgroup * len(records.LOSS_CLASSES) + class_))
        self.hooks_of_containers.detach(cgroup)

    def list_running(self) -> None:
        """Have each process of a watched container that nobody told of yet told once, as running.

        To be asked again whenever cgroups are watched that were ignored before, or in a new epoch.
        """
        for lister in self._listers:
            try:
                lister.iterate()
            except LibbpfFault as fault:
                log.error("%s; %s", fault, _UNLISTED)  # noqa: TRY400  # one line

    def revise(self, profile: int, revision: int) -> None:
        """Put a revision of a profile in force: what was known by another is no longer. 0: nothing is."""
        if 0 < profile <= PROFILES_LIMIT:
            self._maps["revisions"].update(_NUMBER.pack(profile), _ID.pack(revision))

    def know(self, token: bytes, revision: int) -> None:
        """Hold back events of this token while `revision` is in force."""
        if any(token):
            self._maps["known"].update(token, _KNOWN.pack(revision, 0))

    def unknow(self, token: bytes) -> None:
        """Let events of this token through again."""
        self._maps["known"].delete(token)

    def forget_profiles(self, numbers: Sequence[int]) -> None:
        """Make these numbers free for other profiles: nothing that is known may serve those."""
        for number in numbers:
            self.revise(number, 0)
        known = self._maps["known"]
        while keys := list(known.keys()):
            for key in keys:
                known.delete(key)

    def passed(self) -> dict[str, int]:
        """Return how many events of each class were known and stayed in the kernel."""
        return self._by_class("passed")

    def losses(self) -> dict[str, int]:
        """Return how many records of each class found no room in the ring, summed over CPUs.

        `skipped` counts programs that the kernel did not run because they would have interrupted
        themselves.
        """
        lost = {}
        skipped = sum(loaded.missed() for loaded in self._objects)
        if skipped:
            lost["skipped"] = skipped
        return lost | self._by_class("losses")

    def losses_of(self) -> dict[int, dict[str, int]]:
        """Return, by cgroup, those of the losses that can be laid to one; to be asked after `losses`."""
        found: dict[int, dict[str, int]] = {}
        for key in list(self._maps["lost_of"].keys()):
            cgroup, class_ = divmod(_ID.unpack(key)[0], len(records.LOSS_CLASSES))
            (count,) = _ID.unpack(self._maps["lost_of"].lookup(key) or bytes(_ID.size))
            found.setdefault(cgroup, {})[records.LOSS_CLASSES[class_]] = count
        return found

    def ring_use(self) -> float:
        """Return the share of the fullest ring buffer in use, 0 … 1."""
        return max((use.share() for use in self._uses), default=0.0)

    def close(self) -> None:
        """Detach and unload; safe to call twice."""
        while self._uses:
            self._uses.pop().close()
        while self.rings:
            self.rings.pop().close()
        hooks = getattr(self, "hooks_of_containers", None)
        if hooks:
            hooks.close()
        for loaded in (*self._listers, *self._objects):
            loaded.close()
        self._listers, self._objects = [], []

    def _take(self, sensor: Sensor, rung: str) -> None:
        taken = rungs.climb(sensor, rung, lambda name: self._load(name, sensor))
        self.taken[taken.object] = taken.refused
        if taken.refused:
            log.info("%s is taken: %s", taken.object, taken.refused)

    def _load(self, name: str, sensor: Sensor) -> None:
        loaded = BpfObject(self._library, self._folder / name)
        try:
            rungs.leave_out(loaded, sensor.left_out(), file_totals=self._file_totals)
            loaded.set_constants(".rodata.settings", self._constants)
            loaded.resize("ring", _pages(self._ring_bytes or sensor.ring_bytes))
            loaded.share(self._maps)
            loaded.load()
            if name == sensor.cheaper:
                loaded.attach()  # some kernels refuse only this
        except LibbpfFault:
            loaded.close()
            raise
        self._objects.append(loaded)
        for shared in SHARED:
            self._maps.setdefault(shared, loaded.map(shared))

    def _load_lister(self, path: Path, ring: Map) -> None:
        lister = BpfObject(self._library, path)
        try:
            lister.set_constants(".rodata.settings", self._constants)
            lister.share({**self._maps, "ring": ring})
            lister.load()
        except LibbpfFault as fault:
            lister.close()
            log.error("%s; %s", fault, _UNLISTED)  # noqa: TRY400  # one line, and the rest goes on
        else:
            self._listers.append(lister)

    def _by_class(self, name: str) -> dict[str, int]:
        counts = {}
        for number, class_ in enumerate(records.LOSS_CLASSES):
            raw = self._maps[name].lookup(_NUMBER.pack(number), self._cpus) or b""
            total = sum(count for (count,) in _ID.iter_unpack(raw))
            if total:
                counts[class_] = total
        return counts

    def _set(self, name: str, cgroup: int, value: bytes) -> None:
        try:
            self._maps[name].update(_ID.pack(cgroup), value)
        except LibbpfFault as fault:
            if name not in self._full:  # said once: it would be said for every cgroup
                self._full.add(name)
                log.error("%s", fault)  # noqa: TRY400  # one line, no traceback


def constants_of(max_argv: int, *, file_totals: bool = True) -> bytes:
    """Return the settings that objects are loaded with, with a secret of their own."""
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return records.SETTINGS.pack(now, max_argv, file_totals, secrets.token_bytes(16))


def _pages(size: int) -> int:
    """Return what the kernel takes as the size of a ring: a power of two, a page at least."""
    return max(mmap.PAGESIZE, 1 << (size - 1).bit_length())

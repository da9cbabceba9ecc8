# SPDX-License-Identifier: Apache-2.0
"""The sensors: one module each, imported only when the setting `collector.sensors` names it."""

from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from habitus.events import Event, Peer
from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus_collector.addresses import Addresses
from habitus_collector.clock import Clock
from habitus_collector.libbpf import Map
from habitus_collector.records import Head

Reader = Callable[[Head, bytes, Clock, str], Event | None]
"""(head, the whole record, clock, node) → the event that it tells of, without its container, or None."""


def _no_map(name: str) -> Map | None:
    del name
    return None


def _nobody(cgroup: int) -> Peer | None:
    del cgroup
    return None


@dataclass(frozen=True)
class Surroundings:
    """What a sensor may ask while it reads records."""

    addresses: Addresses = field(default_factory=Addresses)
    """Whose address is it."""
    map: Callable[[str], Map | None] = _no_map
    """A map of the loaded objects by its name, None while nothing is loaded."""
    root_of: Callable[[int], int] = int
    """Cgroup id → id of its container's own cgroup, or the same for what is no container."""
    peer_in: Callable[[int], Peer | None] = _nobody
    """Cgroup id → the container in it, as the other end of a flow."""


# name → the module whose `SENSOR` it is.
_MODULES: Final[dict[str, str]] = {
    "process": "habitus_collector.sensors.process",
    "file": "habitus_collector.sensors.file",
    "network": "habitus_collector.sensors.network",
    "uring": "habitus_collector.sensors.uring",
    "cpu": "habitus_collector.sensors.cpu",
}


class Group(NamedTuple):
    """A watched container's own cgroup: its id, and its path from the root of the tree."""

    container: str
    cgroup: int
    folder: str


@dataclass(frozen=True)
class Ground:
    """What a sensor that looks by itself has to do with."""

    settings: CollectorSettings
    tree: Path
    groups: Callable[[], list[Group]]
    """The containers that are watched now."""
    take: Callable[[int, Event], None]
    """Takes an event of a cgroup, without its container."""


Poll = Callable[[Ground], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Sensor:
    """One object of programs, all attached; what it sends, and how that becomes events."""

    object: str | None
    """File name of the built object; None: it has no programs."""
    readers: Mapping[int, Reader]
    """Record kind → its reader. No two sensors share a kind."""
    reading: Callable[[Surroundings], Mapping[int, Reader]] | None = None
    """Makes further readers, of one loader alone: those that remember or ask."""
    cheaper: str | None = None
    """File name of an object that says the same at less cost where the kernel takes it: tried first."""
    left_out: Callable[[], Collection[str]] = tuple
    """Says which programs of the object this kernel cannot take, or has a better one for."""
    needs: tuple[str, ...] = ()
    """Sensors without which this one would be wrong."""
    ring_bytes: int = 1 << 20
    """Room for records that wait to be read, a power of two. It counts twice in what is resident: a reader
    has it mapped twice in a row, so that no record is broken at its end."""
    poll: Poll | None = None
    """Runs while the collector does, for what no program in the kernel has to tell."""
    lister: str | None = None
    """File name of an object whose iterators tell, by the same ring, of what was there before us."""


def available() -> tuple[str, ...]:
    """Return the names that the setting may have."""
    return tuple(_MODULES)


def choose(names: Sequence[str]) -> list[Sensor]:
    """Return the sensors of these names, those that others need first.

    Raises:
        ServiceFault: a name is unknown, or what a sensor needs was not named; one line.
    """
    fault = fault_of(names)
    if fault:
        raise ServiceFault(fault)
    found = [_sensor(name) for name in dict.fromkeys(names)]
    return sorted(found, key=lambda sensor: len(sensor.needs))


def by_name(names: Sequence[str]) -> dict[str, Sensor]:
    """Return name → sensor for these names, all of them known."""
    return {name: _sensor(name) for name in names}


def fault_of(names: Sequence[str]) -> str | None:
    """Say in one line what keeps these names from being a choice of sensors, or None."""
    known = ", ".join(_MODULES)
    if not names:
        return f"collector.sensors is empty; available: {known}"
    for name in names:
        if name not in _MODULES:
            return f"collector.sensors: no sensor {name!r}; available: {known}"
        for needed in _sensor(name).needs:
            if needed not in names:
                return f"collector.sensors: {name!r} needs {needed!r} beside it"
    return None


def objects_of(sensors: Iterable[Sensor]) -> list[str]:
    """Return the file names of the objects of these sensors."""
    names = ((sensor.cheaper, sensor.object, sensor.lister) for sensor in sensors)
    return [name for each in names for name in each if name]


def readers_of(sensors: Iterable[Sensor], around: Surroundings | None = None) -> dict[int, Reader]:
    """Return the readers of all these sensors, for one loader."""
    around = around or Surroundings()
    readers: dict[int, Reader] = {}
    for sensor in sensors:
        readers |= sensor.readers
        readers |= sensor.reading(around) if sensor.reading else {}
    return readers


def _sensor(name: str) -> Sensor:
    sensor: Sensor = import_module(_MODULES[name]).SENSOR
    return sensor

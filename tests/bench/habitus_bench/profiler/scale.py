# SPDX-License-Identifier: Apache-2.0
"""How much room profiles take, and how soon another replica owns what a dead one owned.

The typical profile here: 60 programs with 4 forms of arguments each, a vector of 1 024 numbers a form, 1 500
files, 60 peers. The thousand are snapshots on a real broker. `start_s` and takeovers end when each partition
is owned, `loaded_s` when every profile is in memory.
"""

import asyncio
import contextlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from habitus import subjects
from habitus.bus import Bus
from habitus.events import Container, Event, File, Network, Process
from habitus.images import PARTITIONS, partition_of
from habitus.profiles import ProfileReply
from habitus_profiler import snapshot
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.leaf import Vector
from habitus_profiler.profile import Limits, Profile
from habitus_profiler.store import Store
from habitus_profiler.tenure import claim
from habitus_testing import NatsServer, ServiceProcess

_PROGRAMS: Final = 60
_FORMS: Final = 4
_FILES: Final = 1500
_PEERS: Final = 60
_DIMENSION: Final = 1024
_IMAGES: Final = 1000
_MEGABYTE: Final = 1e6
_KIBIBYTE: Final = 1024
_PATIENCE_S: Final = 180.0
_START: Final = 1_764_000_000_000_000_000


def measure(rounds: int) -> Mapping[str, float]:
    """Return the size of a profile, of a thousand in a profiler, and the times of takeovers."""
    profile = typical()
    data = snapshot.sealed(profile, "")
    tracemalloc.start()
    loaded = snapshot.parsed(data, _limits(), Rule(1e9, 0, 1), "")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = {
        "profile.typical_mb": held / _MEGABYTE,
        "profile.typical_snapshot_mb": len(data) / _MEGABYTE,
        "profile.load_ms": _load_ms(data),
        "profile.typical_nodes": float(loaded.file.size + loaded.network.size),
    }
    for part in (_thousand(profile), _takeovers(rounds, None), _takeovers(rounds, profile)):
        found |= asyncio.run(part)
    return found


def _load_ms(data: bytes) -> float:
    """Return the processor time of making a profile of its snapshot, median of 20, in milliseconds."""
    readings = []
    for _ in range(20):
        started = time.process_time()
        snapshot.parsed(data, _limits(), Rule(1e9, 0, 1), "")
        readings.append(1000 * (time.process_time() - started))
    return statistics.median(readings)


def typical() -> Profile:
    """Return a profile of the size that the module describes, in detect."""
    chance = random.Random(7)  # noqa: S311  # to be reproducible
    vectors = np.random.default_rng(7)
    profile = Profile("typical:1", 0, _limits(), Learning(Rule(1e9, 0, 1)))
    for event in _events(chance):
        profile.learn(event)
    profile.speaks("measured")
    for leaf, text in profile.pending():
        vector: Vector = vectors.standard_normal(_DIMENSION).astype(np.float32)
        profile.resolve(leaf, text, vector / np.linalg.norm(vector), 0.65)
    profile.detect(_START)
    return profile


def _limits() -> Limits:
    return Limits(64, 256, None)


def _word(chance: random.Random) -> str:
    return "".join(chance.choices("abcdefghijklmnoprstuvw", k=9))


def _events(chance: random.Random) -> list[Event]:
    programs = [_word(chance) for _ in range(_PROGRAMS)]
    folders = [f"/srv/{_word(chance)}/{_word(chance)}" for _ in range(_FILES // 25)]
    events = []
    for program in programs:
        for _ in range(_FORMS):
            argv = [program, f"--{_word(chance)}", f"--{_word(chance)}={_word(chance)}", _word(chance)]
            events.append(_event("process", "exec", program, argv))
    for at in range(_FILES):
        file = File(path=f"{folders[at % len(folders)]}/{_word(chance)}.dat", flags=["read"])
        events.append(_event("file", "open", programs[at % 20], file=file))
    for at in range(_PEERS):
        peer = Network(
            direction="egress", protocol="tcp", remote_ip=f"10.{at}.7.9", remote_port=5432 + at % 3
        )
        events.append(_event("network", "connect", programs[at % 20], network=peer))
    return events


def _event(kind: str, op: str, program: str, argv: list[str] | None = None, **parts: File | Network) -> Event:
    process = Process(pid=7, name=program, exe=f"/usr/bin/{program}", parent="sh", argv=argv or [program])
    return Event(
        ts=_START, class_=kind, op=op, container=Container(image="typical:1"), process=process, **parts
    )


@contextlib.contextmanager
def _server() -> Iterator[NatsServer]:
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder), "token")
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def _keep(server: NatsServer, profile: Profile) -> None:
    """Store a thousand images' snapshots, all of them of the one profile."""
    shares: defaultdict[int, list[str]] = defaultdict(list)
    for number in range(_IMAGES):
        key = f"shop/service-{number}:1"
        shares[partition_of(key)].append(key)
    data = snapshot.sealed(profile, "")
    async with Bus(server.settings, "bench") as bus:
        store = await Store.open(bus, 1)
        for partition, keys in shares.items():
            profiles = {key: snapshot.parsed(data, _limits(), Rule(1e9, 0, 1), "") for key in keys}
            for key, each in profiles.items():
                each.image_key, each.partition, each.dirty = key, partition, True
            await (await claim(store, partition)).save(profiles, profiles.keys())


async def _thousand(profile: Profile) -> dict[str, float]:
    with _server() as server:
        await _keep(server, profile)
        started = time.monotonic()
        service = _profiler(server, "thousand")
        try:
            async with Bus(server.settings, "bench") as bus:
                for number in range(PARTITIONS):
                    await _owned(bus, number)
                owned = time.monotonic() - started
                counts = [await _loaded(bus, number) for number in range(PARTITIONS)]
            if sum(counts) != _IMAGES:
                raise ValueError(f"{sum(counts)} profiles of {_IMAGES} were loaded")
            return {
                "profiles_1000.start_s": owned,
                "profiles_1000.loaded_s": time.monotonic() - started,
                "profiles_1000.rss_mb": _rss_mb(service),
            }
        finally:
            service.kill()


async def _loaded(bus: Bus, partition: int) -> int:
    """Return how many profiles a partition has; asking loads them."""
    data = await bus.request(subjects.profile("list", partition), b"{}", _PATIENCE_S)
    return len(ProfileReply.model_validate_json(data).summaries)


def _profiler(server: NatsServer, name: str) -> ServiceProcess:
    log = server.folder / f"{name}.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "habitus_profiler"], stderr=out, env=server.environment
        )
    return ServiceProcess(child, log)


def _rss_mb(service: ServiceProcess) -> float:
    status = Path(f"/proc/{service.child.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * _KIBIBYTE / _MEGABYTE


async def _takeovers(rounds: int, profile: Profile | None) -> dict[str, float]:
    """Kill a replica again and again; `profile`: each time it owned its share of a thousand such images."""
    with _server() as server:
        if profile:
            await _keep(server, profile)
        replicas = [_profiler(server, "first"), _profiler(server, "second")]
        try:
            async with Bus(server.settings, "bench") as bus:
                killed = []
                for number in range(rounds):
                    killed.append(await _takeover(bus, replicas, signal.SIGKILL))
                    replicas = [each for each in replicas if each.child.poll() is None]
                    replicas.append(_profiler(server, f"again-{number}"))
                silent = await _takeover(bus, replicas, signal.SIGSTOP)
        finally:
            for each in replicas:
                each.kill()
    name = "takeover" if profile else "takeover_empty"
    return {
        f"{name}_s": statistics.median(killed),
        f"{name}_worst_s": max(killed),
        f"{name}_from_silent_s": silent,
    }


async def _takeover(bus: Bus, replicas: list[ServiceProcess], strike: signal.Signals) -> float:
    """Strike one replica; return how long until another owned the last of what it owned."""
    owners = await _shared(bus)
    struck = next(each for each in replicas if f"named {owners[0]}" in each.said)
    left = [number for number, owner in enumerate(owners) if owner == owners[0]]
    started = time.monotonic()
    struck.child.send_signal(strike)
    if strike == signal.SIGKILL:
        struck.child.wait()
    while left:
        if time.monotonic() - started > _PATIENCE_S:
            raise TimeoutError(f"partitions {left} have no owner after {_PATIENCE_S:g} s")
        named = [await _owner(bus, number) for number in left]
        left = [number for number, owner in zip(left, named, strict=True) if owner in {"", owners[0]}]
        await asyncio.sleep(0.02)
    return time.monotonic() - started


async def _shared(bus: Bus) -> list[str]:
    """Wait until two replicas own all partitions; return the owner of each."""
    for _ in range(int(_PATIENCE_S)):
        owners = [await _owner(bus, number) for number in range(PARTITIONS)]
        if "" not in owners and len(set(owners)) > 1:
            return owners
        await asyncio.sleep(0.5)
    raise TimeoutError("the replicas do not share the partitions")


async def _owned(bus: Bus, partition: int) -> None:
    for _ in range(int(_PATIENCE_S / 0.1)):
        if await _owner(bus, partition):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"partition {partition} has no owner")


async def _owner(bus: Bus, partition: int) -> str:
    try:
        return (await bus.request(subjects.profile("owner", partition), b"", 0.2)).decode()
    except TimeoutError:
        return ""

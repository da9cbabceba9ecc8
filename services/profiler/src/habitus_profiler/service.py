# SPDX-License-Identifier: Apache-2.0
"""The running profiler: stands for its partitions beside its replicas, keeps what changed, stops cleanly."""

import asyncio
import contextlib
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import nats.errors

from habitus.garbage import collect_seldom
from habitus.service import Service, ServiceFault
from habitus.settings import ProfilerSettings
from habitus.text import printable
from habitus_profiler import manuals, replicas, room, tuner
from habitus_profiler.convergence import Rule
from habitus_profiler.guard import Guarding
from habitus_profiler.judgement import Limits
from habitus_profiler.partition import Partition, Services
from habitus_profiler.pull import ACK_WAIT_S, MAX_UNACKNOWLEDGED
from habitus_profiler.replicas import partitions_of
from habitus_profiler.seat import Seat
from habitus_profiler.store import Store
from habitus_profiler.tenure import Fenced
from habitus_profiler.tuning import Tuning
from habitus_profiler.vectors import Vectors
from habitus_profiler.verdicts import RENEW_S

log = logging.getLogger(__name__)

ABOUT: Final = "learns what each image normally does and publishes what departs from it"
OLDEST_SERVER: Final = (2, 11)
_TICK_S: Final = 0.5
_LOOK_S: Final = 1.0
_FIRST_LOOK_S: Final = 0.05
_START_S: Final = 15.0
_ORPHANED: Final = 3
_MEGABYTE: Final = 1_000_000


def _bounds(settings: ProfilerSettings) -> tuple[Limits, Rule]:
    limits = Limits(settings.max_children, settings.max_vectors, settings.threshold, settings.path_children)
    rule = Rule(
        settings.window_s,
        settings.epsilon,
        settings.min_events,
        None if math.isinf(settings.max_alerts_per_day) else settings.max_alerts_per_day,
        settings.forecast_confidence,
        by_evidence=settings.detect == "evidence",
    )
    return limits, rule


def _tuning(settings: ProfilerSettings) -> Tuning:
    return Tuning(settings.tuning_replicas, settings.tuning_after_s, settings.tuning_below)


def _manuals(folder: Path | None) -> None:
    try:
        if folder is not None:
            log.info("manual pages of one's own: %d programs of %s", manuals.add(folder), folder)
        manuals.programs()  # so that no event waits for the index
    except manuals.ManualFault as fault:
        raise ServiceFault(f"profiler.manuals: {printable(str(fault), 300)}") from None


async def run(service: Service) -> None:
    """Serve until `service.stop`."""
    collect_seldom()
    settings = service.settings.profiler
    limits, rule = _bounds(settings)
    guarding = Guarding(settings.guard, settings.replicas)
    numbers = partitions_of(settings.partitions)
    _able(service)
    _manuals(settings.manuals)
    store = await Store.open(service.bus, service.settings.nats.replicas)
    services = Services(service.bus, store, Vectors(service.bus), limits, rule, guarding)
    name = f"profiler-{secrets.token_hex(4)}"
    log.info("named %s", name)
    seats = [Seat(number, services, name) for number in numbers]
    standing = [asyncio.ensure_future(seat.run()) for seat in seats]
    tasks = [
        asyncio.ensure_future(services.vectors.run()),
        asyncio.ensure_future(_every(settings.snapshot_s, seats, Partition.save)),
        asyncio.ensure_future(_every(ACK_WAIT_S / 4, seats, Partition.keep_alive)),
        asyncio.ensure_future(_every(min(_TICK_S, rule.window_s / 4), seats, Partition.tick)),
        asyncio.ensure_future(_every(RENEW_S, seats, Partition.renew)),
        asyncio.ensure_future(_relieve(seats)),
        asyncio.ensure_future(tuner.run(lambda: _owned(seats), _tuning(settings))),
        asyncio.ensure_future(room.fill(lambda: _owned(seats), settings.memory_mb * _MEGABYTE)),
    ]
    await _all_owned(seats, standing)
    micro = await service.announce(ABOUT, metadata={replicas.METADATA: settings.partitions})
    tasks.append(asyncio.ensure_future(_share(service, seats, micro.id)))
    try:
        await _until(service.stop, [*tasks, *standing])
    finally:
        await _stopped(tasks, standing)
        with contextlib.suppress(nats.errors.Error):
            await micro.stop()


def _able(service: Service) -> None:
    """Refuse a broker that cannot pin.

    Raises:
        ServiceFault: it is older than 2.11.
    """
    version = service.bus.nc.connected_server_version
    if (version.major, version.minor) < OLDEST_SERVER:
        raise ServiceFault(
            f"NATS {version.major}.{version.minor} cannot give a partition to one replica: "
            "nats-server 2.11 or newer is needed"
        )


async def _all_owned(seats: list[Seat], standing: Sequence["asyncio.Future[None]"]) -> None:
    """Return when each partition has an owner, here or elsewhere, or after a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            pause = _FIRST_LOOK_S
            while not all([await seat.look() for seat in seats]):
                _failed(standing)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LOOK_S)
            return
    log.warning("some partitions have no owner yet")


async def _share(service: Service, seats: list[Seat], own_id: str) -> None:
    """See to it that each partition has an owner and each replica its fair share of them."""
    while True:
        await asyncio.sleep(_LOOK_S)
        numbers = [seat.number for seat in seats]
        share = replicas.fair_share(numbers, await replicas.others(service.bus, own_id))
        owned = [seat for seat in seats if seat.partition]
        for seat in owned[share:]:
            log.info("partition %d: another replica shall have it", seat.number)
            seat.give_way()
        for seat in seats:
            # What nobody stands for is taken even above the share.
            seat.stand = bool(seat.partition) or len(owned) < share or seat.orphaned >= _ORPHANED
        await asyncio.gather(*(seat.look() for seat in seats))


async def _until(stop: asyncio.Event, tasks: Sequence["asyncio.Future[None]"]) -> None:
    """Wait for the stop; a task that ends by itself has failed, and so do we."""
    waiting: asyncio.Future[bool] = asyncio.ensure_future(stop.wait())
    either: list[asyncio.Future[Any]] = [waiting, *tasks]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    _failed(tasks)


def _failed(tasks: Sequence["asyncio.Future[None]"]) -> None:
    for task in tasks:
        if task.done():
            raise ServiceFault(f"stopped: {task.exception() or 'a task ended'}") from task.exception()


async def _stopped(
    tasks: Sequence["asyncio.Future[None]"], standing: Sequence["asyncio.Future[None]"]
) -> None:
    vectors, *others = tasks
    for task in (*others, *standing):
        task.cancel()
    await asyncio.gather(*others, *standing, return_exceptions=True)
    vectors.cancel()
    await asyncio.gather(vectors, return_exceptions=True)


def _owned(seats: list[Seat]) -> Iterator[Partition]:
    for seat in seats:
        if seat.partition:
            yield seat.partition


async def _every(seconds: float, seats: list[Seat], call: Callable[[Partition], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        for partition in list(_owned(seats)):
            try:
                await call(partition)
            except nats.errors.Error as error:
                log.warning("partition %d: %s", partition.number, error)
            except Fenced:
                log.debug("partition %d is another's", partition.number)


async def _relieve(seats: list[Seat]) -> None:
    """Keep snapshots early where the broker would soon give out no more."""
    while True:
        await asyncio.sleep(0.1)
        for partition in list(_owned(seats)):
            if len(partition.ledger.held) > MAX_UNACKNOWLEDGED // 4:
                with contextlib.suppress(Fenced):
                    await partition.save()

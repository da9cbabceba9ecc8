# SPDX-License-Identifier: Apache-2.0
"""The running profiler: loads snapshots, serves its partitions, keeps what changed, stops cleanly."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from habitus.images import PARTITIONS
from habitus.service import Service, ServiceFault
from habitus.settings import ProfilerSettings
from habitus_profiler.convergence import Rule
from habitus_profiler.guard import Guarding
from habitus_profiler.operator import Operator
from habitus_profiler.partition import Partition, Services
from habitus_profiler.profile import Limits
from habitus_profiler.pull import ACK_WAIT_S, MAX_UNACKNOWLEDGED, Pull
from habitus_profiler.store import Store
from habitus_profiler.vectors import Vectors
from habitus_profiler.verdicts import RENEW_S

log = logging.getLogger(__name__)

ABOUT: Final = "learns what each image normally does and publishes what departs from it"
_TICK_S: Final = 0.5
_DRAIN_S: Final = 2.0


def partitions_of(text: str) -> list[int]:
    """Return the partitions that a setting such as `0-31` or `0,3,5-7` names.

    Raises:
        ServiceFault: not numbers and ranges, or outside 0 … PARTITIONS-1.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            numbers.update(range(int(first), int(last if dash else first) + 1))
        except ValueError:
            raise ServiceFault(f"profiler.partitions: {text!r} is not like 0-31 or 0,3,5-7") from None
    if not numbers or min(numbers) < 0 or max(numbers) >= PARTITIONS:
        raise ServiceFault(f"profiler.partitions: {text!r} is not inside 0-{PARTITIONS - 1}")
    return sorted(numbers)


class _Served:
    """One partition with its consumer and its operator's face."""

    def __init__(self, partition: Partition, service: Service) -> None:
        self.partition = partition
        self.pull = Pull(service.bus, partition.number)
        self.operator = Operator(partition, self.pull)
        self.subscriptions: list[Subscription] = []
        self._requests: set[asyncio.Task[None]] = set()
        self._nc = service.bus.nc

    async def open(self) -> None:
        await self.pull.open()
        for subject in self.operator.subjects():
            self.subscriptions.append(await self._nc.subscribe(subject, cb=self._asked))

    async def _asked(self, message: Msg) -> None:
        # A task of its own: `sync` waits for what the same subscription must not hold up.
        task = asyncio.ensure_future(self.operator.answer(message))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def work(self) -> None:
        while True:
            await self.partition.take(await self.pull.next())

    async def close(self) -> None:
        for task in list(self._requests):
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        with contextlib.suppress(nats.errors.Error):
            await self.pull.close()
            for subscription in self.subscriptions:
                await subscription.unsubscribe()


def _bounds(settings: ProfilerSettings) -> tuple[Limits, Rule]:
    limits = Limits(settings.max_children, settings.max_vectors, settings.threshold, settings.path_children)
    rule = Rule(
        settings.window_s,
        settings.epsilon,
        settings.min_events,
        settings.max_alerts_per_day,
        settings.forecast_confidence,
        by_evidence=settings.detect == "evidence",
    )
    return limits, rule


async def run(service: Service) -> None:
    """Serve until `service.stop`."""
    settings = service.settings.profiler
    limits, rule = _bounds(settings)
    guarding = Guarding(settings.guard, settings.replicas)
    numbers = partitions_of(settings.partitions)
    store = await Store.open(service.bus, service.settings.nats.replicas)
    services = Services(service.bus, store, Vectors(service.bus), limits, rule, guarding)
    served = await _loaded(service, services, numbers)
    tasks = [asyncio.ensure_future(services.vectors.run())]
    for each in served:
        await each.open()
        tasks.append(asyncio.ensure_future(each.work()))
    tasks += [
        asyncio.ensure_future(_every(settings.snapshot_s, served, Partition.save)),
        asyncio.ensure_future(_every(ACK_WAIT_S / 4, served, Partition.keep_alive)),
        asyncio.ensure_future(_every(min(_TICK_S, rule.window_s / 4), served, Partition.tick)),
        asyncio.ensure_future(_every(RENEW_S, served, Partition.renew)),
        asyncio.ensure_future(_relieve(served)),
    ]
    micro = await service.announce(ABOUT)
    try:
        await _until(service.stop, tasks)
    finally:
        await _stopped(served, tasks)
        with contextlib.suppress(nats.errors.Error):
            await micro.stop()


async def _loaded(service: Service, services: Services, numbers: list[int]) -> list[_Served]:
    profiles, frozen = await services.store.load(numbers, services.limits, services.rule)
    partitions = {number: Partition(number, services) for number in numbers}
    for profile in profiles:
        partitions[profile.partition].profiles[profile.image_key] = profile
    for number in frozen:
        partitions[number].frozen = True
    if profiles:
        log.info("resumed %d profiles", len(profiles))
    return [_Served(partition, service) for partition in partitions.values()]


async def _until(stop: asyncio.Event, tasks: Sequence["asyncio.Future[None]"]) -> None:
    """Wait for the stop; a task that ends by itself has failed, and so do we."""
    waiting: asyncio.Future[bool] = asyncio.ensure_future(stop.wait())
    either: list[asyncio.Future[Any]] = [waiting, *tasks]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in tasks:
        if task.done():
            raise ServiceFault(f"stopped: {task.exception() or 'a task ended'}") from task.exception()


async def _stopped(served: list[_Served], tasks: Sequence["asyncio.Future[None]"]) -> None:
    vectors, *others = tasks
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.gather(*(each.close() for each in served))
    await asyncio.gather(*(each.partition.drain(_DRAIN_S) for each in served))
    vectors.cancel()
    await asyncio.gather(vectors, return_exceptions=True)
    for each in served:
        await each.partition.save()


async def _every(seconds: float, served: list[_Served], call: Callable[[Partition], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        for each in served:
            try:
                await call(each.partition)
            except nats.errors.Error as error:
                log.warning("partition %d: %s", each.partition.number, error)


async def _relieve(served: list[_Served]) -> None:
    """Keep snapshots early where the broker would soon give out no more."""
    while True:
        await asyncio.sleep(0.1)
        for each in served:
            if len(each.partition.ledger.held) > MAX_UNACKNOWLEDGED // 4:
                await each.partition.save()

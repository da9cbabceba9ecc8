# SPDX-License-Identifier: Apache-2.0
"""The collector: `python -m habitus_collector [--settings FILE]`."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Final

from habitus import plugins
from habitus.publish import HEADERS, Batcher
from habitus.service import Service, ServiceFault, serve
from habitus_collector.backlog import Backlog, backlog_of
from habitus_collector.loaders import GROUP, Loader
from habitus_collector.losses import Losses
from habitus_collector.outlet import Outlet
from habitus_collector.status import StatusReporter
from habitus_collector.target_sets import TargetSets
from habitus_collector.verdicts import Listener

_ABOUT: Final = "Watches containers from the kernel by eBPF and publishes their events."
_LAST_FLUSH_S: Final = 5


async def run(service: Service) -> None:
    """Bring the loader's events to the bus until told to stop, or until it has no more."""
    settings = service.settings.collector
    loader: Loader = plugins.load(GROUP, settings.loader)(settings)
    backlog = backlog_of(settings)
    try:
        await _brought(service, loader, backlog)
    finally:
        backlog.close()
        loader.close()  # last: it may take longer than a service has to stop


async def _brought(service: Service, loader: Loader, backlog: Backlog) -> None:
    settings = service.settings.collector
    losses = Losses(settings.node)
    batcher = Batcher(settings.node, settings.batch_events, service.bus.nc.max_payload - HEADERS)
    outlet = Outlet(service.bus, batcher, backlog, losses)
    targets = TargetSets(service.bus, settings, loader.select)
    await targets.begin()
    reporter = StatusReporter(service.bus, settings.node, loader, outlet, losses)
    started = asyncio.Event()
    helpers = [
        outlet.run(),
        backlog.run(),
        reporter.run(started),
        _listen(service, loader, started),
        targets.run(),
        _announce(service, started),
    ]
    async with _beside(helpers, service.stop):
        await loader.run(outlet, started, service.stop)
    ended = time.time_ns()  # from here on nobody saw anything: whoever starts next tells of it
    reporter.look()
    await outlet.finish(_LAST_FLUSH_S)
    await reporter.write(ended)


async def _announce(service: Service, started: asyncio.Event) -> None:
    await started.wait()
    await service.announce(_ABOUT)


async def _listen(service: Service, loader: Loader, started: asyncio.Event) -> None:
    await started.wait()
    if loader.verdicts:
        await Listener(service.bus, service.settings.collector.node, loader.verdicts).run()


@contextlib.asynccontextmanager
async def _beside(helpers: Sequence[Coroutine[Any, Any, None]], stop: asyncio.Event) -> AsyncIterator[None]:
    """Run the helpers meanwhile. One that fails ends all: a collector that sends nothing must not live on."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            stop.set()

    tasks = [asyncio.create_task(helper) for helper in helpers]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise ServiceFault(f"stopped: {type(result).__name__}: {result}") from result


if __name__ == "__main__":
    serve("collector", _ABOUT, run)

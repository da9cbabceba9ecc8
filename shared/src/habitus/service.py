# SPDX-License-Identifier: Apache-2.0
"""How every service starts and stops: `python -m habitus_<service> [--settings FILE]`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from nats.micro.service import EndpointConfig, ServiceConfig
from nats.micro.service import Service as MicroService

from habitus import __version__, log, settings
from habitus.bus import Bus, BusFault
from habitus.plugins import PluginFault
from habitus.text import printable

EXIT_USAGE = 2
EXIT_FAILED = 1
STOP_S = 8
_STUCK_S = 1
ADDRESS = "address"
"""Key under which a service tells the address of its HTTP face when it is pinged."""


class ServiceFault(RuntimeError):
    """A service that cannot do its work; the text is the one line that a person sees."""


@dataclass
class Service:
    """What a running service has: its settings, the bus, and the wish to stop."""

    name: str
    settings: settings.Settings
    bus: Bus
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def announce(
        self, about: str, *endpoints: EndpointConfig, metadata: dict[str, str] | None = None
    ) -> MicroService:
        """Answer `$SRV.PING` as `habitus-<name>` from now on: others learn that we are ready.

        `metadata` is part of the answer. The endpoints are served before the first ping is answered.
        """
        config = ServiceConfig(
            name=f"habitus-{self.name}", version=__version__, description=about, metadata=metadata
        )
        micro = MicroService(self.bus.nc, config)
        for endpoint in endpoints:
            await micro.add_endpoint(endpoint)
        await micro.start()
        # The server has heard of our subscriptions before anybody hears that we are ready.
        await self.bus.nc.flush()
        logging.getLogger(f"habitus.{self.name}").info("ready")
        return micro


Run = Callable[[Service], Awaitable[None]]


def serve(name: str, about: str, run: Run) -> NoReturn:
    """Parse the command line, connect, run until a signal, exit: 0 done, 1 failed, 2 bad settings."""
    parser = argparse.ArgumentParser(prog=f"python -m habitus_{name.replace('-', '_')}", description=about)
    parser.add_argument("--settings", type=Path, help="TOML file; the environment (HABITUS_…) wins over it")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args()
    try:
        loaded = settings.load(arguments.settings)
    except settings.SettingsFault as fault:
        _fail(name, fault, EXIT_USAGE)
    log.set_up(loaded.log.level, json_lines=loaded.log.json_lines)
    try:
        asyncio.run(_until_stopped(name, loaded, run))
    except (BusFault, PluginFault, ServiceFault) as fault:
        _fail(name, fault, EXIT_FAILED)
    except KeyboardInterrupt:
        pass
    raise SystemExit(0)


async def _until_stopped(name: str, loaded: settings.Settings, run: Run) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with Bus(loaded.nats, name) as bus:
        work = asyncio.ensure_future(run(Service(name, loaded, bus, stop)))
        await _bounded(work, stop, name)
    await _without_the_stuck(name)


async def _bounded(work: "asyncio.Future[None]", stop: asyncio.Event, name: str) -> None:
    """Await `work`; once `stop` is set it has a while to end by itself and is cancelled then.

    A broker that vanished in the middle of the stop must not keep a service for ever.
    """
    stopping: asyncio.Future[bool] = asyncio.ensure_future(stop.wait())
    either: list[asyncio.Future[Any]] = [work, stopping]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    _, late = await asyncio.wait({work}, timeout=STOP_S if stop.is_set() else None)
    if late:
        logging.getLogger(f"habitus.{name}").warning("still busy %d s after the stop: given up", STOP_S)
        work.cancel()
        await asyncio.wait({work}, timeout=1)
        return
    work.result()


async def _without_the_stuck(name: str) -> None:
    """Cancel what still runs; end the process at once when a part of it, a plugin's, swallows that.

    Everything of ours has ended by now. `asyncio.run` would wait for such a task for ever.
    """
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    _, stuck = await asyncio.wait(tasks, timeout=_STUCK_S) if tasks else (set(), set())
    if stuck:
        logging.getLogger(f"habitus.{name}").warning("%d tasks do not end: left behind", len(stuck))
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _fail(name: str, fault: Exception, code: int) -> NoReturn:
    sys.stderr.write(f"habitus {name}: {printable(str(fault))}\n")
    raise SystemExit(code)

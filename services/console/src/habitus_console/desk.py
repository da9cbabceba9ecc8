# SPDX-License-Identifier: Apache-2.0
"""What people decide of alerts: the profile hears of it first, the store keeps it then.

A profiler that is away or refuses leaves the alert as it is. Which marks an alert has is known to the profile
alone, so that a console which is killed in between leaves nothing that `reopen` would not find.
"""

import asyncio
import contextlib
import logging

from habitus.alerts import Alert
from habitus.bus import Bus
from habitus_console import feedback
from habitus_console.metrics import Metrics
from habitus_console.profiles import ProfilesFault
from habitus_console.store import queries
from habitus_console.store.alerts import AlertStore, Changed, Row, Said, Unknown, check
from habitus_console.store.records import Record
from habitus_console.store.states import Act, Status, after

log = logging.getLogger(__name__)


class Desk:
    """Asks the profile for one thing at a time: two people may mean the same alert."""

    def __init__(self, bus: Bus, store: AlertStore, metrics: Metrics) -> None:
        self._bus = bus
        self._store = store
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._acts = {Act.ACKNOWLEDGE: self._acknowledge, Act.BENIGN: self._benign, Act.REOPEN: self._reopen}

    async def decide(self, alert_id: str, act: Act, said: Said) -> Record:
        """Do what a person asks and return the alert as it then stands; twice the same is once.

        Raises:
            Unknown: no such alert.
            Changed: it is not as the person, or we, saw it.
            Forbidden: its state does not allow it.
            ProfilesFault: the profile does not follow; nothing is changed.
        """
        outcome = "refused"
        try:
            async with contextlib.nullcontext() if act is Act.ACKNOWLEDGE else self._turn:
                row = await asyncio.to_thread(self._store.row, alert_id)
                check(row, said, None)
                after(row.status, act)
                await self._acts[act](alert_id, said, row)
            outcome = "done"
        finally:
            self._metrics.decisions.labels(act, outcome).inc()
        return await self._record(alert_id)

    async def _acknowledge(self, alert_id: str, said: Said, _row: Row) -> None:
        # One transaction that asks nobody else: it may rest on whatever the row is by now.
        await asyncio.to_thread(self._store.decide, alert_id, Act.ACKNOWLEDGE, said)

    async def _benign(self, alert_id: str, said: Said, row: Row) -> None:
        if row.status is Status.BENIGN:
            return
        alert = (await self._record(alert_id)).alert
        reply = await feedback.absorb(self._bus, alert, said.who, said.why)
        if alert.omitted:
            why = f"{said.why} ({alert.omitted} further departures are not listed, so not marked)"
            said = said._replace(why=why)
        try:
            await asyncio.to_thread(self._store.decide, alert_id, Act.BENIGN, said, row.version)
        except (Changed, Unknown):
            if reply.mark is not None:
                await self._unmark(alert, reply.mark.id, said.who)
            raise

    async def _reopen(self, alert_id: str, said: Said, row: Row) -> None:
        record = await self._record(alert_id)
        undone: list[str] = []
        # An acknowledged alert that was never benign has no marks: it opens without the profiler.
        marked = any(each.act is Act.BENIGN for each in record.history)
        if marked or row.status is not Status.ACKNOWLEDGED:
            undone = await feedback.take_back(self._bus, record.alert, said.who, said.why)
        await asyncio.to_thread(
            self._store.decide, alert_id, Act.REOPEN, said, row.version, again=bool(undone)
        )

    async def _record(self, alert_id: str) -> Record:
        return await asyncio.to_thread(queries.one, self._store.engine, alert_id)

    async def _unmark(self, alert: Alert, mark: str, who: str) -> None:
        try:
            await feedback.undo(self._bus, alert, mark, who, "the alert changed meanwhile")
        except ProfilesFault as fault:
            log.warning("alert %s changed while it was marked, and mark %s stays: %s", alert.id, mark, fault)

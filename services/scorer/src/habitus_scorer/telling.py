# SPDX-License-Identifier: Apache-2.0
"""Tells a person: publishes the alert of an incident, in order, though several lanes feed it.

Told at once: the first time, on a higher severity, on a changed verdict. How an incident grows
(containers, deeds, twice as many departures) is told a little later, all at once, and ever less often.
"""

import asyncio
import logging
import time
from typing import Final, Protocol

from habitus import subjects
from habitus.alerts import Alert
from habitus.anomalies import Anomaly
from habitus_scorer.alerting import alert_of
from habitus_scorer.incident import Incident
from habitus_scorer.storing import Storing

log = logging.getLogger(__name__)

GROWTH_S: Final = 2.0
"""The first growth of an incident is told so long after it began; each further pause is twice as long."""

_LONGEST_PAUSE_S: Final = 600.0


class Keeper(Protocol):
    """Keeps what an alert was decided by."""

    async def keep(self, incident: Incident, alert: Alert) -> None:
        """Keep it, within a moment; whatever goes wrong, the alert is published."""
        ...


class Teller:
    """Publishes alerts; one revision of an incident at a time."""

    def __init__(self, storing: Storing, alert_at: float, evidence: Keeper | None) -> None:
        self._storing = storing
        self._alert_at = alert_at
        self._evidence = evidence
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(
        self, incident: Incident, newest: Anomaly, *, changed: bool = False, late: bool = False
    ) -> None:
        """Tell of `incident` if a person is to know now.

        `changed`: what was told is no longer so. `late`: by a verdict that came late, so that the
        latency stays that of the first revision.
        """
        if changed or incident.due(self._alert_at):
            async with incident.turn:
                # Another lane may have told it while this one waited for its turn.
                if changed or incident.due(self._alert_at):
                    await self._raise(incident, newest, late=changed or late)
        self.grow(incident)

    def grow(self, incident: Incident) -> None:
        """Have what is not told of an incident told later, if there is any."""
        if incident.grown and incident.id not in self._timers:
            pause = min(GROWTH_S * 2.0**incident.growths, _LONGEST_PAUSE_S)
            loop = asyncio.get_running_loop()
            self._timers[incident.id] = loop.call_later(pause, self._start, incident)

    def close(self) -> None:
        """Leave what is still to be told to the next scorer, which finds it in the streams."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _start(self, incident: Incident) -> None:
        del self._timers[incident.id]
        task = asyncio.create_task(self._grown(incident))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _grown(self, incident: Incident) -> None:
        try:
            async with incident.turn:
                if incident.grown:
                    incident.growths += 1
                    await self._raise(incident, incident.best.anomaly, late=True)
        except Exception:
            log.exception("incident %s: what it grew by is told with its next revision", incident.id)

    async def _raise(self, incident: Incident, newest: Anomaly, *, late: bool) -> None:
        first = incident.latency_ms if late and incident.revision else None
        alert = alert_of(incident, newest, time.time_ns())
        if self._evidence is not None:
            await self._evidence.keep(incident, alert)
        alert = alert.model_copy(update=_stamped(newest, first))
        payload = alert.model_dump_json().encode()
        await self._storing.store(subjects.alerts(alert.severity), payload, f"{alert.id}:{alert.revision}")
        incident.tell(alert)
        log.info("alert %s revision %d: %s", alert.id, alert.revision, alert.title.en)


def _stamped(newest: Anomaly, first: float | None) -> dict[str, float]:
    """Return the moment and the latency: the first revision's where a person was told long ago."""
    now = time.time_ns()
    latency = round((now - newest.event.ts) / 1e6, 3) if first is None else first
    return {"raised": now, "latency_ms": latency}

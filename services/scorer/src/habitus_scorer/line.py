# SPDX-License-Identifier: Apache-2.0
"""The line: an anomaly comes in, is judged, folded and published, and only then acknowledged.

Engines that never wait judge each as it arrives; in a crowd what they find grave goes first (`turns`).
Anomalies are judged side by side; folding and publishing keep that order within a container.
Alerts are stored before the score that names them; both carry ids that the broker deduplicates.
An engine that is late (a language model) holds up nobody: the alert is raised without it and told
again with it; only the score of that anomaly, and its acknowledgement, wait.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable
from typing import Final

from nats.aio.msg import Msg

from habitus import subjects, wire
from habitus.alerts import ScoredAnomaly
from habitus.anomalies import Anomaly
from habitus.bus import Bus
from habitus.engines import EngineScore, total
from habitus.images import partition_of
from habitus_scorer import blind
from habitus_scorer.deeds import container_of
from habitus_scorer.incident import Incident, Judged
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.panel import Panel, Verdict
from habitus_scorer.storing import FAULTS, Storing
from habitus_scorer.telling import Keeper, Teller
from habitus_scorer.turns import Turns

log = logging.getLogger(__name__)

IN_HAND: Final = 12_288
"""Anomalies that are looked at ahead of their turn."""

_REMEMBERED: Final = 65_536


class Line:
    """Handles one message of ANOMALIES after the other; see the module for the order it keeps."""

    def __init__(
        self, bus: Bus, panel: Panel, book: IncidentBook, alert_at: float, evidence: Keeper | None = None
    ) -> None:
        self._bus = bus
        self._panel = panel
        self._alert_at = alert_at
        self._book = book
        self._storing = Storing(bus)
        self._teller = Teller(self._storing, alert_at, evidence)
        self._turns = Turns()
        self._lanes: dict[str, asyncio.Event] = {}
        self._working: set[str] = set()
        self._scored: OrderedDict[str, None] = OrderedDict()

    def remember(self, anomaly_id: str) -> None:
        """Note that an anomaly's score is stored: a redelivery of it is only acknowledged."""
        self._scored[anomaly_id] = None
        if len(self._scored) > _REMEMBERED:
            self._scored.popitem(last=False)

    def resume(self) -> None:
        """After a restart: have told what the incidents grew by and no alert says yet."""
        for incident in self._book:
            self._teller.grow(incident)

    def close(self) -> None:
        """Tell nothing any more."""
        self._teller.close()

    async def handle(self, message: Msg) -> None:
        """Score one anomaly to the end. What cannot be read, or breaks the scoring, is parked."""
        try:
            anomaly = wire.decode(Anomaly, message.data)
        except wire.WireFault as fault:
            await self._bus.park(subjects.ANOMALIES, message, str(fault))
            return
        if anomaly.id in self._working:
            return  # delivered again while in hand: the first delivery acknowledges
        if anomaly.id not in self._scored:
            self._working.add(anomaly.id)
            try:
                await self._in_turn(anomaly)
            except FAULTS:
                raise
            except Exception as error:
                log.exception("anomaly %s", anomaly.id)
                await self._bus.park(subjects.ANOMALIES, message, f"{type(error).__name__}: {error}")
                return
            finally:
                self._working.discard(anomaly.id)
        await message.ack()

    async def _in_turn(self, anomaly: Anomaly) -> None:
        # Up to the first await this runs in the order of the stream.
        scores = blind.scores_of(anomaly) if anomaly.reason == blind.REASON else self._panel.glimpse(anomaly)
        await self._turns.take(anomaly, grave=total(scores) >= self._alert_at)
        try:
            await self._in_lane(anomaly, scores)
        finally:
            self._turns.give_back()

    async def _in_lane(self, anomaly: Anomaly, glimpsed: dict[str, EngineScore]) -> None:
        # Up to the first await this runs in the order of the turns, so the lanes keep it.
        lane = container_of(anomaly)
        before, mine = self._lanes.get(lane), asyncio.Event()
        self._lanes[lane] = mine
        try:
            verdict = await self._verdict(anomaly, glimpsed)
            if before is not None:
                await before.wait()
            judged = Judged.of(anomaly, verdict.scores)
            # No await from here to the end of `fold`: lanes that feed one incident take turns.
            incident = self._book.fold(judged)
            # While a model is still asked, its part of an earlier alert is not taken back.
            corrects = not verdict.is_late and incident.corrected_by(judged)
            await self._teller.look(incident, anomaly, changed=corrects)
            stored = None if verdict.is_late else await self._publish(judged, incident)
        finally:
            mine.set()
            if self._lanes.get(lane) is mine:
                del self._lanes[lane]
        await (stored or await self._amended(incident, anomaly, verdict))
        self.remember(anomaly.id)

    async def _verdict(self, anomaly: Anomaly, glimpsed: dict[str, EngineScore]) -> Verdict:
        if anomaly.reason == blind.REASON:
            return Verdict(glimpsed, [])
        return await self._panel.judge(anomaly, glimpsed)

    async def _amended(self, incident: Incident, anomaly: Anomaly, verdict: Verdict) -> Awaitable[None]:
        """Wait for the engines that are late, bring the alert up to date, and only then store the score."""
        judged = Judged.of(anomaly, await verdict.completed())
        incident, speaks = self._book.amend(incident, judged)
        changed = speaks and incident.raised is not None
        await self._teller.look(incident, anomaly, changed=changed, late=True)
        return await self._publish(judged, incident)

    async def _publish(self, judged: Judged, incident: Incident) -> Awaitable[None]:
        key = judged.anomaly.image_key
        payload = _scored(judged, incident).model_dump_json().encode()
        return await self._storing.send(subjects.scores(partition_of(key)), payload, judged.anomaly.id)


def _scored(judged: Judged, incident: Incident) -> ScoredAnomaly:
    anomaly = judged.anomaly
    return ScoredAnomaly(
        anomaly_id=anomaly.id,
        event_id=anomaly.event.id,
        image_key=anomaly.image_key,
        reason=anomaly.reason,
        path=anomaly.path,
        detail=anomaly.detail,
        score=judged.score,
        engines=dict(judged.engines),
        incident=incident.id,
        alert=incident.alert_id if incident.raised else None,
        scored=time.time_ns(),
        habits=anomaly.habits,
        place=_place(anomaly),
        replicas=anomaly.replicas,
    )


def _place(anomaly: Anomaly) -> str:
    """Return which replica it was: a Pod's containers, however often they are restarted, are one."""
    container = anomaly.event.container
    return (container.pod.uid if container.pod else None) or container.id or ""

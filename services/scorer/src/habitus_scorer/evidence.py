# SPDX-License-Identifier: Apache-2.0
"""Keeps the evidence of each alert: the stream EVIDENCE holds the newest bundle of each, bounded.

A stream and no KV bucket: a bucket that is full refuses the newest, and here the oldest are to leave.
Evidence is a courtesy: where it cannot be stored, the alert goes out all the same, and the bundle is
tried again later.
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from typing import Any, Final

from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

from habitus import __version__, subjects
from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.evidence import Evidence, JudgedAnomaly, Term
from habitus_scorer.incident import Incident, Kept
from habitus_scorer.storing import FAULTS

log = logging.getLogger(__name__)

_DAYS: Final = 90
_BYTES: Final = 256 << 20
_TIMEOUT_S: Final = 0.15
"""An alert waits no longer for its bundle."""

_PAUSE_S: Final = 5.0
_WAITING: Final = 64
_RECORD: Final = 65_536
_HEADERS: Final = 1024  # they count too


class EvidenceKeeper:
    """Stores bundles; `run` stores later what could not be stored at once.

    Args:
        replicas: copies of the stream.
        alert_at: goes into each bundle.
    """

    def __init__(self, bus: Bus, alert_at: float, replicas: int = 1) -> None:
        self._bus = bus
        self._alert_at = alert_at
        self._replicas = replicas
        self._stands = False
        self._not_before = 0.0
        self._waiting: OrderedDict[str, bytes] = OrderedDict()

    async def open(self) -> None:
        """Make sure that the stream stands; where it cannot be made, the alerts go on without."""
        config = StreamConfig(
            name=subjects.EVIDENCE,
            subjects=["habitus.evidence.*"],
            max_msgs_per_subject=1,
            discard=DiscardPolicy.OLD,
            max_bytes=_BYTES,
            max_age=_DAYS * 86_400,
            storage=StorageType.FILE,
            num_replicas=self._replicas,
        )
        try:
            await self._bus.js.add_stream(config)
        except BadRequestError:
            log.debug("stream %s stands with limits of its own", subjects.EVIDENCE)
        except FAULTS as error:
            log.warning("no evidence is kept: %s", error or type(error).__name__)
            return
        self._stands = True

    async def keep(self, incident: Incident, alert: Alert) -> None:
        """Store the bundle of one alert, or note it for later; never raises what the broker does."""
        payload = packed(bundle_of(incident, alert, self._alert_at), self._bus.nc.max_payload - _HEADERS)
        if payload is None:
            log.warning("alert %s: its evidence is too large to be kept", alert.id)
        elif time.monotonic() < self._not_before or not await self._stored(alert.id, payload):
            self._later(alert.id, payload)
        else:
            self._waiting.pop(alert.id, None)  # of a former revision

    async def run(self, stop: asyncio.Event) -> None:
        """Store what waits, from time to time, until `stop`."""
        stopped = asyncio.ensure_future(stop.wait())
        while not stop.is_set():
            await asyncio.wait({stopped}, timeout=_PAUSE_S)
            await self.catch_up()

    async def catch_up(self) -> None:
        """Store what waits, as far as the broker takes it."""
        if self._waiting and not self._stands:
            await self.open()
        for alert_id, payload in list(self._waiting.items()):
            if not await self._stored(alert_id, payload):
                return
            if self._waiting.get(alert_id) is payload:
                del self._waiting[alert_id]

    async def _stored(self, alert_id: str, payload: bytes) -> bool:
        try:
            await self._bus.js.publish(subjects.evidence_of(alert_id), payload, timeout=_TIMEOUT_S)
        except FAULTS as error:
            log.warning("the evidence of %s waits: %s", alert_id, error or type(error).__name__)
            self._stands = False
            self._not_before = time.monotonic() + _PAUSE_S
            return False
        self._not_before = 0.0
        return True

    def _later(self, alert_id: str, payload: bytes) -> None:
        self._waiting[alert_id] = payload
        self._waiting.move_to_end(alert_id)
        if len(self._waiting) > _WAITING:
            lost, _ = self._waiting.popitem(last=False)
            log.warning("the evidence of %s is given up", lost)


def bundle_of(incident: Incident, alert: Alert, alert_at: float) -> Evidence:
    """Return what `alert`, an alert of `incident` as it stands, was decided by."""
    best = incident.best
    others = [kept for kept in incident.kept if kept.anomaly.id != best.anomaly.id]
    others.sort(key=lambda kept: (kept.anomaly.event.ts, kept.anomaly.id))
    return Evidence(
        made=time.time_ns(),
        habitus=__version__,
        alert=alert.model_copy(update={"events": []}),
        alert_at=alert_at,
        decisive=best.anomaly.id,
        anomalies=[_judged(kept) for kept in (Kept.of(best), *others)],
        records={name: _bounded(record) for name, record in best.records.items()},
    )


def packed(bundle: Evidence, most: int) -> bytes | None:
    """Return the bundle in at most `most` bytes: whole, else with its decisive anomaly alone, else None."""
    for part in (bundle, bundle.model_copy(update={"anomalies": bundle.anomalies[:1]})):
        payload = part.pack()
        if len(payload) <= most:
            return payload
    return None


def _judged(kept: Kept) -> JudgedAnomaly:
    terms = {
        term.engine: Term(points=term.points, max_points=term.max_points, abstained=term.abstained)
        for term in kept.terms
    }
    return JudgedAnomaly.of(kept.anomaly, kept.score, terms)


def _bounded(record: dict[str, Any]) -> dict[str, Any]:
    """Return an engine's record if it is JSON and not too long; an engine may be anybody's."""
    try:
        text = json.dumps(record)
    except (TypeError, ValueError, RecursionError) as error:
        return {"left_out": f"no JSON: {type(error).__name__}"}
    return record if len(text) <= _RECORD else {"left_out": f"{len(text)} characters"}

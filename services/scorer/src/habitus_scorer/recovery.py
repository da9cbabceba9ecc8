# SPDX-License-Identifier: Apache-2.0
"""After a restart: the open incidents, from the tails of SCORES, ANOMALIES and ALERTS."""

import logging
from collections.abc import AsyncIterator
from typing import Final

import nats.errors
import pydantic
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from habitus import subjects, wire
from habitus.alerts import Alert, ScoredAnomaly
from habitus.anomalies import Anomaly
from habitus.bus import Bus
from habitus_scorer.incident import Judged
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.line import Line

log = logging.getLogger(__name__)

TAIL: Final = 5_000
"""Anomalies that are looked back on, beside those that were in hand; an older incident opens anew."""

_FETCH: Final = 500
_TIMEOUT_S: Final = 5.0


async def recover(bus: Bus, durable: str, book: IncidentBook, line: Line) -> None:
    """Fold again, with their recorded scores, the anomalies that a former scorer has scored.

    `durable` is the consumer of ANOMALIES: what it has not handed out yet is not looked at.
    """
    for alert in await _alerts(bus):
        book.restore_alert(alert)
    consumer = await bus.js.consumer_info(subjects.ANOMALIES, durable)
    last = consumer.delivered.stream_seq if consumer.delivered else 0
    done = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    count = TAIL + last - min(done, last)  # many may have been in hand, and some of them scored
    scored = await _scores(bus, count)
    restored = 0
    async for data in _tail(bus, subjects.ANOMALIES, count, last):
        try:
            anomaly = wire.decode(Anomaly, data)
        except wire.WireFault:
            continue  # parked when it came
        record = scored.get(anomaly.id)
        if record is not None:
            book.restore(Judged.of(anomaly, record.engines), record.incident)
            line.remember(anomaly.id)
            restored += 1
    line.resume()
    if restored:
        log.info("%d scored anomalies of %d incidents restored", restored, len(book))


async def _alerts(bus: Bus) -> list[Alert]:
    newest: dict[str, Alert] = {}
    async for data in _tail(bus, subjects.ALERTS, TAIL):
        try:
            alert = Alert.model_validate_json(data)
        except pydantic.ValidationError:
            continue  # of another schema: nothing of it can be restored
        newest[alert.id] = alert
    return list(newest.values())


async def _scores(bus: Bus, count: int) -> dict[str, ScoredAnomaly]:
    found: dict[str, ScoredAnomaly] = {}
    async for data in _tail(bus, subjects.SCORES, count):
        try:
            record = ScoredAnomaly.model_validate_json(data)
        except pydantic.ValidationError:
            continue
        found[record.anomaly_id] = record
    return found


async def _tail(bus: Bus, stream: str, count: int, last: int = 0) -> AsyncIterator[bytes]:
    """Yield the `count` messages of `stream` up to the sequence `last`, or to its end."""
    state = (await bus.js.stream_info(stream)).state
    last = min(last or state.last_seq, state.last_seq)
    if not state.messages or last < state.first_seq:
        return
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=max(state.first_seq, last - count + 1),
        ack_policy=AckPolicy.NONE,
        inactive_threshold=30,
        mem_storage=True,
    )
    consumer = await bus.js.pull_subscribe("", stream=stream, config=config)
    sequence = 0
    try:
        while sequence < last:
            for message in await consumer.fetch(_FETCH, timeout=_TIMEOUT_S):
                sequence = message.metadata.sequence.stream
                yield message.data
    except nats.errors.TimeoutError:
        log.warning("%s: its tail came only to %d of %d", stream, sequence, last)
    finally:
        await consumer.unsubscribe()

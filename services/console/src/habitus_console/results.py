# SPDX-License-Identifier: Apache-2.0
"""Reads what the scorer stored: scores and alerts, from the beginning of their streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from habitus import subjects
from habitus.alerts import Alert, ScoredAnomaly
from habitus.bus import Bus


async def scored(bus: Bus, advance: Callable[[int, int], None]) -> list[ScoredAnomaly]:
    """Wait until every stored anomaly is scored or parked, and return the scores.

    `advance` gets (done, anomalies there). The caller bounds the wait.
    """
    while True:
        anomalies = (await bus.js.stream_info(subjects.ANOMALIES)).state.last_seq
        scores = (await bus.js.stream_info(subjects.SCORES)).state.last_seq
        done = scores + await _parked(bus)
        advance(done, anomalies)
        if done >= anomalies:
            break
        await asyncio.sleep(0.05)
    return [ScoredAnomaly.model_validate_json(data) async for data in stored(bus, subjects.SCORES)]


async def _parked(bus: Bus) -> int:
    subject = subjects.parked(subjects.ANOMALIES)
    info = await bus.js.stream_info(subjects.PARKED, subjects_filter=subject)
    return (info.state.subjects or {}).get(subject, 0)


async def alerts(bus: Bus) -> list[Alert]:
    """Return the alerts raised so far, each in its newest revision, oldest first."""
    newest: dict[str, Alert] = {}
    async for data in stored(bus, subjects.ALERTS):
        alert = Alert.model_validate_json(data)
        known = newest.get(alert.id)
        if known is None or alert.revision >= known.revision:
            newest[alert.id] = alert
    return sorted(newest.values(), key=lambda alert: alert.first_seen)


async def stored(bus: Bus, stream: str) -> AsyncIterator[bytes]:
    """Yield every message that `stream` holds now, in order."""
    left = (await bus.js.stream_info(stream)).state.messages
    if not left:
        return
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, inactive_threshold=30, mem_storage=True
    )
    reader = await bus.js.pull_subscribe("", stream=stream, config=config)
    try:
        while left > 0:
            messages = await reader.fetch(min(left, 500), timeout=10)
            left -= len(messages)
            for message in messages:
                yield message.data
    finally:
        with contextlib.suppress(nats.errors.Error):
            await reader.unsubscribe()

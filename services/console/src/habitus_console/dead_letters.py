# SPDX-License-Identifier: Apache-2.0
"""What is asked of the sinks: their state, a test, and the alerts that they did not take."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import nats.errors
import pydantic
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from habitus import subjects
from habitus.alerts import Alert
from habitus.bus import Bus, NobodyServes
from habitus.sinks import SinkReply, SinkRequest

_PATIENCE_S: Final = 620.0
"""A sink's `timeout_s` may be ten minutes."""
_FETCH: Final = 200
_FETCH_S: Final = 5.0


class SinksFault(RuntimeError):
    """What was asked could not be done; the text says why, in one line."""


class DeadLetter(NamedTuple):
    """An alert that a sink did not take: its place in PARKED, when and why. `alert`: None if unreadable."""

    sequence: int
    sink: str
    parked: int
    why: str
    alert: Alert | None


async def ask(bus: Bus, request: SinkRequest) -> SinkReply:
    """Ask the running scorer.

    Raises:
        SinksFault: it could not do it, or no scorer runs.
    """
    try:
        raw = await bus.request(subjects.SINKS, request.model_dump_json().encode(), _PATIENCE_S)
        reply = SinkReply.model_validate_json(raw)
    except NobodyServes:
        raise SinksFault("no scorer answers: start one with `habitus up`") from None
    except TimeoutError as error:
        raise SinksFault(f"the scorer does not answer: {error}") from None
    except pydantic.ValidationError:
        raise SinksFault("the scorer answered in another version's words") from None
    if reply.error:
        raise SinksFault(f"sink {request.sink}: {reply.error}")
    return reply


async def dead_letters(bus: Bus, sink: str | None) -> list[DeadLetter]:
    """Return the dead letters of one sink, or of all, oldest first."""
    subject = subjects.dead_letters(subjects.token_of(sink) if sink else "*")
    try:
        return [letter async for letter in _stored(bus, subject)]
    except (nats.errors.Error, JetStreamError, TimeoutError) as error:
        raise SinksFault(f"stream {subjects.PARKED}: {error or type(error).__name__}") from None


async def _stored(bus: Bus, subject: str) -> AsyncIterator[DeadLetter]:
    info = await bus.js.stream_info(subjects.PARKED, subjects_filter=subject)
    left = sum((info.state.subjects or {}).values())
    if not left:
        return
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, inactive_threshold=30, mem_storage=True
    )
    reader = await bus.js.pull_subscribe(subject, stream=subjects.PARKED, config=config)
    try:
        while left > 0:
            messages = await reader.fetch(min(left, _FETCH), timeout=_FETCH_S)
            left -= len(messages)
            for message in messages:
                data = message.metadata
                why = (message.headers or {}).get("Habitus-Why", "")
                when = int(data.timestamp.timestamp() * 1e9)
                sink = message.subject.rpartition(".")[2]
                yield DeadLetter(data.sequence.stream, sink, when, why, _alert(message.data))
    finally:
        with contextlib.suppress(nats.errors.Error):
            await reader.unsubscribe()


def _alert(data: bytes) -> Alert | None:
    try:
        return Alert.model_validate_json(data)
    except pydantic.ValidationError:
        return None

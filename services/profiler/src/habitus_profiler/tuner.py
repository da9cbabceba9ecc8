# SPDX-License-Identifier: Apache-2.0
"""Reads the scorer's verdicts (stream SCORES) of the partitions that we own, for slow tuning.

Nothing is urgent here: each partition's verdicts are fetched now and then, and acknowledged once snapshots
hold what they changed. One that comes again changes nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from pydantic import ValidationError

from habitus import subjects
from habitus.alerts import ScoredAnomaly
from habitus.text import printable
from habitus_profiler.partition import Partition
from habitus_profiler.profile import Profile
from habitus_profiler.store import STORE_FAULTS
from habitus_profiler.tenure import Fenced
from habitus_profiler.tuning import Tuning, weigh

log = logging.getLogger(__name__)

_MOST: Final = 256
_PATIENCE_S: Final = 0.5
_ACK_WAIT_S: Final = 60.0
_RAREST_S: Final = 30.0
_OFTENEST_S: Final = 0.2
_TURNS: Final = 20
"""How often verdicts are fetched in the time that they must cover."""


async def run(owned: Callable[[], Iterable[Partition]], tuning: Tuning) -> None:
    """Tune the partitions owned, again and again, until cancelled."""
    pause = min(max(tuning.after_s / _TURNS, _OFTENEST_S), _RAREST_S)
    while True:
        await asyncio.sleep(pause)
        if tuning.replicas:
            await asyncio.gather(*(_tune(partition, tuning) for partition in list(owned())))


async def _tune(partition: Partition, tuning: Tuning) -> None:
    try:
        while await _some(partition, tuning) == _MOST:
            pass
    except STORE_FAULTS as error:
        log.warning(
            "partition %d: verdicts: %s; later again", partition.number, error or type(error).__name__
        )
    except Fenced:
        log.debug("partition %d is another's", partition.number)


async def _some(partition: Partition, tuning: Tuning) -> int:
    """Take what verdicts there are, at most `_MOST`; return how many there were."""
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=_ACK_WAIT_S, max_ack_pending=4 * _MOST)
    subscription = await partition.services.bus.js.pull_subscribe(
        subjects.scores(partition.number),
        f"profiler-tuning-{partition.number}",
        stream=subjects.SCORES,
        config=config,
    )
    try:
        messages = await subscription.fetch(_MOST, timeout=_PATIENCE_S)
    except (nats.errors.TimeoutError, TimeoutError):
        return 0
    finally:
        with contextlib.suppress(nats.errors.Error):
            await subscription.unsubscribe()
    taken = [(message, await _take(partition, message, tuning)) for message in messages]
    if any(profile and profile.dirty for _, profile in taken):
        await partition.save()
    for message, profile in taken:
        if not profile or not profile.dirty:
            await message.ack()
    return len(messages)


async def _take(partition: Partition, message: Msg, tuning: Tuning) -> Profile | None:
    """Weigh one verdict; return the profile that it concerned."""
    try:
        scored = ScoredAnomaly.model_validate_json(message.data)
    except ValidationError as error:
        log.warning("a verdict cannot be read: %s", printable(str(error.errors()[0]["msg"]), 200))
        return None
    if not scored.habits:
        return None
    profile = await partition.roster.get(scored.image_key)
    mark = weigh(profile, scored, tuning) if profile else None
    if mark:
        log.warning("tuned %s: mark %s, %s", printable(scored.image_key, 200), mark.id, mark.why)
    return profile

# SPDX-License-Identifier: Apache-2.0
"""How many partitions are a replica's fair share: each replica says on `$SRV.PING` which ones it serves."""

import asyncio
import contextlib
import json
import math
from collections.abc import Iterable, Sequence
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from habitus.bus import Bus
from habitus.images import PARTITIONS
from habitus.service import ServiceFault

PING: Final = "$SRV.PING.habitus-profiler"
METADATA: Final = "partitions"
_HEAR_S: Final = 0.3


def partitions_of(text: str) -> list[int]:
    """Return the partitions that a setting such as `0-31` or `0,3,5-7` names.

    Raises:
        ServiceFault: not numbers and ranges, or outside 0 … PARTITIONS-1.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            numbers.update(range(int(first), int(last if dash else first) + 1))
        except ValueError:
            raise ServiceFault(f"profiler.partitions: {text!r} is not like 0-31 or 0,3,5-7") from None
    if not numbers or min(numbers) < 0 or max(numbers) >= PARTITIONS:
        raise ServiceFault(f"profiler.partitions: {text!r} is not inside 0-{PARTITIONS - 1}")
    return sorted(numbers)


def fair_share(mine: Sequence[int], others: Iterable[Sequence[int]]) -> int:
    """Return how many of `mine` a replica should own beside `others`, each with its own partitions."""
    serving = dict.fromkeys(mine, 1)
    for other in others:
        for number in other:
            if number in serving:
                serving[number] += 1
    return math.ceil(sum(1 / count for count in serving.values()) - 1e-9)


async def others(bus: Bus, own_id: str) -> list[list[int]]:
    """Return the partitions of every other replica that is ready."""
    heard: dict[str, list[int]] = {}

    async def hear(message: Msg) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, ServiceFault):
            told = json.loads(message.data)
            heard[str(told["id"])] = partitions_of(told["metadata"][METADATA])

    inbox = bus.nc.new_inbox()
    try:
        subscription = await bus.nc.subscribe(inbox, cb=hear)
        await bus.nc.publish(PING, b"", inbox)
        await asyncio.sleep(_HEAR_S)
        await subscription.unsubscribe()
    except nats.errors.Error:
        return []
    heard.pop(own_id, None)
    return list(heard.values())

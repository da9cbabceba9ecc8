# SPDX-License-Identifier: Apache-2.0
"""Asks the one profiler that owns a partition, also where it changes hands meanwhile."""

import asyncio
import time
from typing import Final

from habitus import subjects
from habitus.bus import Bus, NobodyServes
from habitus.profiles import ProfileReply, ProfileRequest

AGAIN: Final = frozenset({"list", "show", "converge", "sync", "export", "diff", "ancestor", "copy", "detect"})
"""Operations that may be asked twice: the second changes nothing that the first did not."""

_PAUSE_S: Final = 0.25


async def ask(
    bus: Bus, operation: str, partition: int, request: ProfileRequest, timeout_s: float
) -> ProfileReply:
    """Return the owner's answer; where it gave the partition away before it answered, that of the next owner.

    Raises:
        NobodyServes: a TimeoutError, at once: there is no owner.
        TimeoutError: no answer in time, or nobody knows whether what must not be done twice was done.
        ValidationError: the answer is no ProfileReply.
    """
    subject, payload = subjects.profile(operation, partition), request.model_dump_json().encode()
    deadline, has_moved = time.monotonic() + timeout_s, False
    while True:
        left = max(0.01, deadline - time.monotonic())
        try:
            reply = ProfileReply.model_validate_json(await bus.request(subject, payload, left))
        except NobodyServes:
            if not has_moved or time.monotonic() >= deadline:
                raise
        else:
            if not reply.moved:
                return reply
            has_moved = True
            if operation not in AGAIN:
                raise TimeoutError(
                    f"partition {partition} changed hands: see whether it was done, then ask again"
                )
        await asyncio.sleep(_PAUSE_S)

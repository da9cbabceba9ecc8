# SPDX-License-Identifier: Apache-2.0
"""Verdicts by normal form, and the questions under way: the same pattern from 100 Pods asks once."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Literal

from habitus.judging import JudgeReply

How = Literal["asked", "cached", "coalesced"]


class Answers:
    """Keeps verdicts for a while, and lets equal questions wait for the one under way.

    Args:
        most: verdicts kept; 0: none.
        kept_s: seconds for which one is kept.
    """

    def __init__(self, most: int, kept_s: float) -> None:
        self._most = most
        self._kept_s = kept_s
        self._kept: OrderedDict[bytes, tuple[float, JudgeReply]] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[JudgeReply]] = {}

    @property
    def under_way(self) -> int:
        """Distinct questions that are being asked."""
        return len(self._under_way)

    def knows(self, key: bytes) -> bool:
        """Tell whether a question costs nothing now."""
        return self._find(key) is not None or key in self._under_way

    async def get(self, key: bytes, ask: Callable[[], Awaitable[JudgeReply]]) -> tuple[JudgeReply, How]:
        """Return the answer to `key`: kept, under way, or asked now.

        The question goes on when its caller leaves: others may wait for it, and it is paid for.
        """
        found = self._find(key)
        if found is not None:
            return found, "cached"
        task = self._under_way.get(key)
        how: How = "coalesced"
        if task is None:
            how = "asked"
            task = self._under_way[key] = asyncio.ensure_future(self._ask(key, ask))
        return await asyncio.shield(task), how

    async def _ask(self, key: bytes, ask: Callable[[], Awaitable[JudgeReply]]) -> JudgeReply:
        try:
            reply = await ask()
        finally:
            del self._under_way[key]
        if not reply.abstained and self._most:
            self._kept[key] = (time.monotonic() + self._kept_s, reply)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return reply

    def _find(self, key: bytes) -> JudgeReply | None:
        until, reply = self._kept.get(key, (0.0, None))
        if reply is None:
            return None
        if until < time.monotonic():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return reply

    async def close(self) -> None:
        """Give up the questions under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is: in the order of the stream, but in a crowd what is grave goes before what is faint.

What goes before takes along what waits of its own process, its parent and the parent's parents: so it
comes to the incident that it would have come to in its turn.
"""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from habitus.anomalies import Anomaly
from habitus_scorer.deeds import container_of

AT_ONCE: Final = 448
"""Faint ones that are worked on at the same time: fewer than an engine takes, so that it has places left."""
CROWD: Final = 64
"""With so many waiting or fewer, nobody goes before another."""

_STRIDE: Final = 8
"""Turns given between two looks at what arrives: what is grave in it is found soon."""
_KIN: Final = 512
_GENERATIONS: Final = 8

Process = tuple[str, int]


@dataclass(eq=False, slots=True)
class _Waiting:
    """One that waits; `at` is its place in the stream's order."""

    at: int
    process: Process
    parent: Process
    go: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Turns:
    """Gives turns: `take` one, work, and `give_back`."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._by_process: dict[Process, dict[int, _Waiting]] = {}
        self._ahead: deque[_Waiting] = deque()
        self._arrived = 0
        self._busy = 0
        self._awake = False

    async def take(self, anomaly: Anomaly, *, grave: bool) -> None:
        """Return when it is the turn of `anomaly`."""
        one = self._line_up(anomaly)
        if grave and len(self._waiting) > CROWD:
            self._ahead.extend(self._called(one))
        self._wake()
        try:
            await one.go
        except asyncio.CancelledError:
            if one.go.done() and not one.go.cancelled():
                self.give_back()
            self._leave(one)
            raise

    def give_back(self) -> None:
        """End a turn."""
        self._busy -= 1
        if self._waiting:
            self._wake()

    def _line_up(self, anomaly: Anomaly) -> _Waiting:
        container, process = container_of(anomaly), anomaly.event.process
        pid, ppid = (process.pid or 0, process.ppid or 0) if process else (0, 0)
        self._arrived += 1
        one = _Waiting(self._arrived, (container, pid), (container, ppid))
        self._waiting[one.at] = one
        if pid:
            self._by_process.setdefault(one.process, {})[one.at] = one
        return one

    def _leave(self, one: _Waiting) -> None:
        self._waiting.pop(one.at, None)
        own = self._by_process.get(one.process)
        if own is not None:
            own.pop(one.at, one)
            if not own:
                del self._by_process[one.process]

    def _called(self, one: _Waiting) -> list[_Waiting]:
        """Take `one` and the newest of its line out of those that wait; return them in their order."""
        found = {one.at: one}
        process, parent = one.process, one.parent
        for _ in range(_GENERATIONS):
            own = self._by_process.get(process, {})
            for at in list(own)[: -_KIN - 1 : -1]:
                found[at], parent = own[at], own[at].parent
            process = parent
        called = [found[at] for at in sorted(found)[-_KIN:]]
        for each in called:
            self._leave(each)
        return called

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        self._awake = False
        for _ in range(_STRIDE):
            one = self._next()
            if one is None:
                return
            self._busy += 1
            one.go.set_result(None)
        if self._ahead or self._waiting:
            self._wake()

    def _next(self) -> _Waiting | None:
        while self._ahead:
            one = self._ahead.popleft()
            if not one.go.done():  # else it was cancelled meanwhile
                return one
        if not self._waiting or self._busy >= AT_ONCE:
            return None
        one = self._waiting[next(iter(self._waiting))]
        self._leave(one)
        return one

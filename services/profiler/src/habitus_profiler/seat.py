# SPDX-License-Identifier: Apache-2.0
"""One partition as a replica sees it: it stands by until the broker pins it, then owns the partition.

Whoever is pinned takes the snapshots (see `tenure`) and works until the broker, the store or a request to
give way ends it; profiles are loaded as they are needed (see `roster`). Then everything of it in memory is
forgotten: what no snapshot holds comes again from the stream, to whoever owns the partition then.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from habitus import subjects
from habitus.bus import Bus
from habitus_profiler.operator import Operator
from habitus_profiler.partition import Partition, Services
from habitus_profiler.pull import Pull, Unpinned
from habitus_profiler.store import STORE_FAULTS
from habitus_profiler.tenure import Fenced, Tenure, claim

log = logging.getLogger(__name__)

_DRAIN_S: Final = 2.0
_PATIENCE_S: Final = 0.5
_PAUSE_S: Final = 0.5
_OWNER_S: Final = 1.0
_SETTLING_S: Final = 1.0
"""Who was pinned just now may not listen yet."""


class Seat:
    """One partition. `partition` is there while we own it; `stand` says whether we want it."""

    def __init__(self, number: int, services: Services, name: str) -> None:
        self.number = number
        self.partition: Partition | None = None
        self.stand = True
        self.orphaned = 0
        self._services = services
        self._name = name
        self._give_way = asyncio.Event()
        self._requests: set[asyncio.Task[None]] = set()

    @property
    def _bus(self) -> Bus:
        return self._services.bus

    async def run(self) -> None:
        """Stand by and own, in turns, until cancelled; what is owned then is kept and given back."""
        while True:
            if not self.stand:
                await asyncio.sleep(_PAUSE_S)
                continue
            pull = Pull(self._bus, self.number)
            await pull.open()
            try:
                first = await self._pinned(pull)
                if first is not None:
                    await self._own(pull, first)
            except Unpinned as why:
                log.warning("partition %d: %s; standing by", self.number, why)
            except STORE_FAULTS as error:
                log.warning("partition %d: %s; standing by", self.number, error or type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
            finally:
                with contextlib.suppress(nats.errors.Error):
                    await pull.close()

    async def _pinned(self, pull: Pull) -> Msg | None:
        while self.stand:
            message = await pull.next(_PATIENCE_S)
            if message is not None:
                return message
        return None

    # -- owning -------------------------------------------------------------------------------

    async def _own(self, pull: Pull, first: Msg) -> None:
        self._give_way.clear()
        self.orphaned = 0
        beat = asyncio.ensure_future(pull.beat())
        subscriptions = [await self._bus.nc.subscribe(self._subject("owner"), cb=self._say_who)]
        try:
            tenure = await claim(self._services.store, self.number)
            partition = Partition(self.number, self._services, tenure)
            if partition.roster.waiting:
                log.info("partition %d: %d profiles to load", self.number, len(partition.roster.waiting))
            operator = Operator(partition, pull)
            asked = self._asking(operator, pull)
            subscriptions += [
                await self._bus.nc.subscribe(subject, cb=asked) for subject in operator.subjects()
            ]
            self.partition = partition
            work = asyncio.ensure_future(self._work(pull, partition, first))
            try:
                await self._until_over(beat, work, tenure)
            finally:
                await self._leave(pull, partition, work)
        finally:
            await _ended(beat)
            await self._deaf(subscriptions)

    def _subject(self, operation: str) -> str:
        return subjects.profile(operation, self.number)

    async def _work(self, pull: Pull, partition: Partition, first: Msg) -> None:
        await partition.take(first)
        while True:
            message = await pull.next()
            if message is not None:
                await partition.take(message)

    async def _until_over(
        self, beat: "asyncio.Future[None]", work: "asyncio.Future[None]", tenure: Tenure
    ) -> None:
        """Wait until the partition is no longer ours or no longer wanted; a fault of the work is raised."""
        ends = [asyncio.ensure_future(each.wait()) for each in (tenure.fenced, self._give_way)]
        either: list[asyncio.Future[Any]] = [beat, work, *ends]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        if tenure.fenced.is_set():
            raise Unpinned("another replica has taken its snapshots")
        if not self._give_way.is_set():
            (beat if beat.done() else work).result()

    async def _leave(self, pull: Pull, partition: Partition, work: "asyncio.Future[None]") -> None:
        await _ended(work)
        self.partition = None
        ours = pull.pinned
        await partition.drain(_DRAIN_S if ours else 0)
        # Also when the pin is lost: as long as nobody else took the snapshots, ours are the truth.
        with contextlib.suppress(Fenced, *STORE_FAULTS):
            await partition.save()
        if ours:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await pull.unpin()

    async def _deaf(self, subscriptions: list[Subscription]) -> None:
        for task in list(self._requests):
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        with contextlib.suppress(nats.errors.Error):
            for subscription in subscriptions:
                await subscription.unsubscribe()

    def give_way(self) -> None:
        """Keep what is owned and let another replica have the partition."""
        self.stand = False
        self._give_way.set()

    # -- requests -----------------------------------------------------------------------------

    async def _say_who(self, message: Msg) -> None:
        with contextlib.suppress(nats.errors.Error):
            await message.respond(self._name.encode() if self.partition else b"")

    def _asking(self, operator: Operator, pull: Pull) -> Callable[[Msg], Any]:
        async def asked(message: Msg) -> None:
            # A task of its own: `sync` waits for what the same subscription must not hold up.
            task = asyncio.ensure_future(
                operator.answer(message) if pull.pinned else operator.point_on(message, _SETTLING_S)
            )
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

        return asked

    # -- looking after it ---------------------------------------------------------------------

    async def look(self) -> bool:
        """Say whether somebody owns the partition; if nobody does, have the broker choose somebody."""
        if self.partition:
            return True
        try:
            owned = await self._look()
        except STORE_FAULTS as error:
            log.debug("partition %d: %s", self.number, error or type(error).__name__)
            return False
        self.orphaned = 0 if owned else self.orphaned + 1
        return owned

    async def _look(self) -> bool:
        pull = Pull(self._bus, self.number)
        state = await pull.state()
        if not state:
            return False
        group = (state.get("priority_groups") or [{}])[0]
        if group.get("pinned_client_id"):
            answer = await self._answer()
            if answer is not None:
                return bool(answer)
            if _seconds(group["pinned_ts"], state["ts"]) < _SETTLING_S:
                return False
            log.info("partition %d: its owner is gone", self.number)
            await pull.unpin()
        if not state.get("num_pending"):
            await pull.nudge()
        return False

    async def _answer(self) -> str | None:
        """Return the owner's name, empty while it takes over or is silent, None when it is not connected.

        One that is only silent is left to the broker's patience.
        """
        try:
            return (await self._bus.nc.request(self._subject("owner"), b"", timeout=_OWNER_S)).data.decode()
        except nats.errors.NoRespondersError:
            return None
        except (nats.errors.TimeoutError, TimeoutError, UnicodeDecodeError):
            return ""


async def _ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _seconds(earlier: str, later: str) -> float:
    """Return the time between two timestamps of the broker, both by its own clock."""
    return (_moment(later) - _moment(earlier)).total_seconds()


def _moment(text: str) -> datetime:
    # Nine digits of a second are three more than Python reads.
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}")

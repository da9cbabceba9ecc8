# SPDX-License-Identifier: Apache-2.0
"""Answers operators on `habitus.profile.<operation>.<partition>`: list, show, converge, sync."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from pydantic import ValidationError

from habitus import subjects
from habitus.profiles import ProfileReply, ProfileRequest
from habitus.text import printable
from habitus_profiler import report
from habitus_profiler.exchange import Exchange
from habitus_profiler.kinship import Kinship
from habitus_profiler.partition import Partition
from habitus_profiler.pull import Pull
from habitus_profiler.standing import Standing
from habitus_profiler.store import STORE_FAULTS
from habitus_profiler.tenure import Fenced

_LARGEST: Final = 900_000
_FIRST_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.1

_MOVED: Final = ProfileReply(moved=True, error="the partition has changed hands")

Answer = Callable[[ProfileRequest], Awaitable[ProfileReply]]


class Operator:
    """The operator's face of one partition."""

    def __init__(self, partition: Partition, pull: Pull) -> None:
        self._partition = partition
        self._pull = pull
        self._answers: dict[str, Answer] = {
            "list": self.list,
            "show": self.show,
            "converge": self.converge,
            "sync": self.sync,
            **Standing(partition).answers,
            **Kinship(partition).answers,
            **Exchange(partition).answers,
        }

    def subjects(self) -> list[str]:
        """Return the subjects that `answer` serves."""
        return [subjects.profile(operation, self._partition.number) for operation in self._answers]

    async def answer(self, message: Msg) -> None:
        """Answer one request, always with a ProfileReply."""
        operation = message.subject.split(".")[2]
        try:
            request = ProfileRequest.model_validate_json(message.data or b"{}")
            reply = await self._answers[operation](request)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            reply = ProfileReply(error=printable(f"{operation}: {where}: {first['msg']}".strip(), 300))
        except STORE_FAULTS as error:
            reply = ProfileReply(error=printable(f"{operation}: {error or type(error).__name__}", 300))
        except Fenced:
            reply = _MOVED  # another replica owns the partition
        except asyncio.CancelledError:
            await self.point_on(message, 0)
            raise
        with contextlib.suppress(nats.errors.Error):
            await message.respond(_encoded(reply))

    async def point_on(self, message: Msg, pause_s: float) -> None:
        """Say that another owns the partition; after a pause, for it may have answered by then."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(pause_s)
        with contextlib.suppress(nats.errors.Error):
            await message.respond(_encoded(_MOVED))

    async def list(self, request: ProfileRequest) -> ProfileReply:
        """Summarise every profile of the partition."""
        del request
        roster = self._partition.roster
        found = [await roster.summary(key) for key in sorted(roster.names())]
        return ProfileReply(summaries=[summary for summary in found if summary])

    async def show(self, request: ProfileRequest) -> ProfileReply:
        """Show one profile with its tries, cut to what a message can carry."""
        if not request.image_key:
            return ProfileReply(error="show: image_key: which profile?")
        profile = await self._partition.roster.get(request.image_key)
        if profile is None:
            return ProfileReply(error=f"show: no profile {printable(request.image_key, 200)}")
        for most in (200, 20, 2):
            reply = ProfileReply(detail=report.detail(profile, most))
            if len(_encoded(reply)) <= _LARGEST:
                return reply
        return ProfileReply(error="show: the profile is too large for one message")

    async def converge(self, request: ProfileRequest) -> ProfileReply:
        """Turn every profile to detect, once all up to `after` is learned and has its vectors."""
        await self.applied(request.after)
        partition = self._partition
        for profile in await partition.roster.every():
            if profile.observing:
                await partition.resolve(profile)
                await partition.detect(profile)
        if request.freeze:
            await partition.freeze()
        await partition.save()
        return await self.list(request)

    async def sync(self, request: ProfileRequest) -> ProfileReply:
        """Wait until all up to `after` is judged and stored, or learned with its vectors."""
        if request.after > 0:
            await self.applied(request.after)
            for profile in await self._partition.roster.every():
                await self._partition.resolve(profile)
        return ProfileReply()

    async def applied(self, after: int) -> None:
        """Wait until every batch of the partition up to the sequence `after` is settled."""
        if after > 0:
            await self._delivered(after)
            await self._partition.ledger.settled_to(after)

    async def _delivered(self, after: int) -> None:
        """Wait until the broker has given out all up to `after`, and we hold what is not acknowledged.

        What an earlier run left unacknowledged comes again after a while: until then the broker
        counts more open batches than we hold.
        """
        pause, empty = _FIRST_PAUSE_S, 0
        while True:
            info = await self._pull.info()
            given = (info.delivered.stream_seq or 0) if info.delivered else 0
            # The count may lag behind the stream by a moment: an empty one counts when it repeats.
            empty = 0 if info.num_pending else empty + 1
            all_given = given >= after or empty > 1
            if all_given and (info.num_ack_pending or 0) <= self._partition.ledger.open:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def _encoded(reply: ProfileReply) -> bytes:
    return reply.model_dump_json().encode("utf-8", "replace")

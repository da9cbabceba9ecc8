# SPDX-License-Identifier: Apache-2.0
"""The batches of one partition that are not acknowledged yet, and what each still waits for.

A batch is settled when each of its events is judged and its anomalies are stored, or learned. It is
acknowledged when it is settled and every profile that learned from it has a snapshot that says so.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from habitus_profiler.profile import Profile
from habitus_profiler.roster import Roster
from habitus_profiler.store import STORE_FAULTS
from habitus_profiler.tenure import Tenure

log = logging.getLogger(__name__)

_ACK_TIMEOUT_S: Final = 2.0


class Held:
    """A batch. `learners` are the profiles that learned from it, `unsaved` those without a snapshot of it."""

    __slots__ = ("acknowledging", "learners", "message", "settled", "unsaved")

    def __init__(self, message: Msg) -> None:
        self.message = message
        self.settled = False
        self.acknowledging = False
        self.learners: set[str] = set()
        self.unsaved: set[str] = set()


class Ledger:
    """Sequence in EVENTS → batch."""

    def __init__(self, tenure: Tenure) -> None:
        self.held: dict[int, Held] = {}
        self._tenure = tenure
        self._changed = asyncio.Condition()
        self._saving = asyncio.Lock()

    @property
    def open(self) -> int:
        """Batches that the broker surely counts as not acknowledged."""
        return sum(not held.acknowledging for held in self.held.values())

    def hold(self, sequence: int, message: Msg) -> Held | None:
        """Take a batch in; None when it is here already and only came again."""
        held = self.held.get(sequence)
        if held is not None:
            held.message = message
            return None
        held = self.held[sequence] = Held(message)
        return held

    async def settle(self, sequence: int) -> None:
        """Say that a batch is judged and learned, and acknowledge it if nobody learned from it."""
        held = self.held.get(sequence)
        if held is not None:
            held.settled = True
            if not held.learners:
                # Nothing to lose: should this acknowledgement get lost, the batch is judged again.
                del self.held[sequence]
                with contextlib.suppress(nats.errors.Error):
                    await held.message.ack()
        async with self._changed:
            self._changed.notify_all()

    async def settled_to(self, after: int) -> None:
        """Wait until no batch up to the sequence `after` is open."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: all(held.settled for at, held in self.held.items() if at <= after)
            )

    async def save(self, roster: Roster) -> None:
        """Keep every dirty profile, then acknowledge the batches that snapshots now contain.

        Raises:
            Fenced: another replica owns the partition.
        """
        async with self._saving:
            try:
                kept = await self._tenure.save(roster.profiles, roster.names())
            except STORE_FAULTS as error:
                log.warning("snapshots: %s; later again", error or type(error).__name__)
                return
            for key, contained in kept.items():
                for sequence in contained & self.held.keys():
                    self.held[sequence].unsaved.discard(key)
            for held in self.held.values():
                held.unsaved.intersection_update(
                    roster.profiles
                )  # a profile that was forgotten keeps nothing up
            done = [(at, held) for at, held in self.held.items() if held.settled and held.learners]
            await asyncio.gather(*(self._confirm(at, held, roster) for at, held in done if not held.unsaved))

    async def _confirm(self, sequence: int, held: Held, roster: Roster) -> None:
        # Confirmed, because only then may a profile forget that it has applied the batch.
        held.acknowledging = True
        try:
            await held.message.ack_sync(timeout=_ACK_TIMEOUT_S)
        except STORE_FAULTS as error:
            held.acknowledging = False
            log.warning("batch %d is not acknowledged: %s", sequence, error or type(error).__name__)
            return
        self.held.pop(sequence, None)
        for key in held.learners & roster.profiles.keys():
            roster.profiles[key].applied.discard(sequence)

    async def keep_alive(self) -> None:
        """Tell the broker that the held batches are still worked on."""
        for held in list(self.held.values()):
            with contextlib.suppress(nats.errors.Error):
                await held.message.in_progress()


def mark(held: Held, sequence: int, profiles: Iterable[Profile]) -> None:
    """Note that `profiles` contain the batch from now on."""
    for profile in profiles:
        profile.applied.add(sequence)
        profile.dirty = True
        held.learners.add(profile.image_key)
        held.unsaved.add(profile.image_key)

# SPDX-License-Identifier: Apache-2.0
"""One partition: applies its batches to the profiles.

A batch that comes again (after a kill, or late) is not learned twice by a profile that contains it;
what it is judged for is published under the same id. What needs a vector waits in a task of its own,
so that the batches behind are judged meanwhile.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable
from typing import Final, NamedTuple

from nats.aio.msg import Msg

from habitus import subjects, wire
from habitus.anomalies import Anomaly
from habitus.bus import Bus
from habitus.events import Event, fault_of
from habitus.images import image_key, partition_of
from habitus_profiler import blind
from habitus_profiler.batch import Batch, Place
from habitus_profiler.convergence import Rule
from habitus_profiler.guard import Guard, Guarding
from habitus_profiler.judgement import Ask, Echo, Limits
from habitus_profiler.kin import Kin, adopt
from habitus_profiler.leaf import Leaf
from habitus_profiler.ledger import Ledger, mark
from habitus_profiler.profile import Profile
from habitus_profiler.publish import Publisher, anomaly_of, insist, unknown_image
from habitus_profiler.roster import Roster
from habitus_profiler.store import Store
from habitus_profiler.streak import Streak, end
from habitus_profiler.tenure import Tenure
from habitus_profiler.vectors import Vectors
from habitus_profiler.verdicts import Verdicts
from habitus_profiler.work import Asked, Work

log = logging.getLogger(__name__)

_BROKEN: Final = "the profiler failed on this event"


class Services(NamedTuple):
    """What a partition works with."""

    bus: Bus
    store: Store
    vectors: Vectors
    limits: Limits
    rule: Rule
    guarding: Guarding = Guarding()


class Partition:
    """The profiles of one partition and the batches that wait for them."""

    def __init__(self, number: int, services: Services, tenure: Tenure) -> None:
        self.number = number
        self.roster = Roster(number, tenure, services.limits, services.rule)
        self.profiles = self.roster.profiles
        self.frozen = tenure.frozen
        self.ledger = Ledger(tenure)
        self.verdicts = Verdicts(services.bus, self.roster)
        self._tenure = tenure
        self._services = services
        self._publisher = Publisher(services.bus, number)
        self.kin = Kin(services.bus, services.limits, services.rule)
        self._guard = Guard(services.bus, self._publisher, services.guarding)
        self._tasks: set[asyncio.Future[None]] = set()
        self._resolving: set[str] = set()
        self._asking: Counter[str] = Counter()

    @property
    def services(self) -> Services:
        """What this partition works with."""
        return self._services

    # -- batches ------------------------------------------------------------------------------

    async def take(self, message: Msg) -> None:
        """Apply one message of EVENTS."""
        sequence = message.metadata.sequence.stream
        held = self.ledger.hold(sequence, message)
        if held is None:
            return
        try:
            batch = Batch(message.data)
        except wire.WireFault as fault:
            await self._refuse(message, sequence, str(fault))
            return
        await self._present(batch)
        work = self.apply_batch(batch, sequence)
        self._lost(batch.losses, work)
        mark(held, sequence, work.learners.values())
        await self.verdicts.flush()
        await self._conclude(work, sequence)
        await self._advance(work.learners)

    async def _present(self, batch: Batch | wire.EventBatch) -> None:
        """Have every profile that the batch needs in memory; images never seen start from predecessors."""
        keys = {image_key(image or "", digest) for image, digest in batch.images}
        for key in keys - self.roster.names():
            ancestor = None if self.frozen else await self.kin.predecessor(key)
            if ancestor is not None and key not in self.roster.names():
                adopt(self.roster.new(key), ancestor)
        keys |= {loss.image for loss in batch.losses}
        # Asked again after each: another may have been put to rest meanwhile.
        while absent := self.roster.absent(keys):
            await self.roster.get(absent.pop())
        for key in keys:
            self.roster.touch(key)

    async def _refuse(self, message: Msg, sequence: int, why: str) -> None:
        del self.ledger.held[sequence]
        await insist("PARKED", lambda: self._services.bus.park(subjects.EVENTS, message, why))

    async def _conclude(self, work: Work, sequence: int) -> None:
        if work:
            self._start(self._finish(work, sequence))
        else:
            await self.ledger.settle(sequence)

    def apply_batch(self, batch: Batch, sequence: int) -> Work:
        """Learn or judge each event of a message; return what is left to do."""
        work = Work(sequence)
        streaks: dict[int, Streak] = {}
        for index, (glance, at) in enumerate(zip(batch.glances, batch.where, strict=True)):
            if glance is not None:
                streak = streaks.get(at) or self._begin(streaks, at, batch.places[at], work)
                if streak is not None and streak.takes(glance):
                    continue
            end(streaks)
            self._read(batch, index, work)
        end(streaks)
        return work

    def apply(self, events: list[Event], sequence: int) -> Work:
        """Learn or judge each of `events`; return what is left to do."""
        work = Work(sequence)
        for index, event in enumerate(events):
            self._whole(event, index, work)
        return work

    def _begin(self, streaks: dict[int, Streak], at: int, place: Place, work: Work) -> Streak | None:
        """Begin to take the events of one container, None where each is to be read as a whole."""
        profile = self.profiles.get(place.key)
        if profile is None or not place.image[0]:
            return None
        contained = work.is_contained(profile)
        if contained or profile.observing:
            work.learners[place.key] = profile
        streak = streaks[at] = Streak(profile, place, self.verdicts, contained=contained)
        return streak

    def _read(self, batch: Batch, index: int, work: Work) -> None:
        try:
            event = batch.whole(index)
        except wire.WireFault as fault:
            work.unread.append((batch.raw(index), str(fault), f"{work.sequence}-{index}"))
        else:
            self._whole(event, index, work)

    def _whole(self, event: Event, index: int, work: Work) -> None:
        fault = fault_of(event)
        if fault is None:
            if not event.id:
                event.id = f"{subjects.EVENTS}-{work.sequence}-{index}"
            fault = self._guarded(event, work)
        if fault is not None:
            log.error("partition %d, batch %d, event %d: %s", self.number, work.sequence, index + 1, fault)
            work.parked.append((event, fault, f"{work.sequence}-{index}"))

    def _guarded(self, event: Event, work: Work) -> str | None:
        try:
            self._one(event, work)
        except Exception:
            # Whatever an attacker found: one event is parked, and the partition goes on.
            log.exception("partition %d: %s", self.number, _BROKEN)
            return _BROKEN
        return None

    def _one(self, event: Event, work: Work) -> None:
        key = image_key(event.container.image or "", event.container.image_digest)
        profile = self.profiles.get(key) or self._new(key)
        if profile is None:
            work.anomalies.append(unknown_image(event, key))
            return
        known = work.is_contained(profile)
        if known or profile.observing:
            work.learners[key] = profile
            refused = (self._guard.again if known else self._guard.learn)(event, profile)
            work.anomalies += [refused] if refused else []
        else:
            self._judge(event, profile, work)

    def _judge(self, event: Event, profile: Profile, work: Work) -> None:
        verdict = profile.judge(event)
        if verdict is None:
            if event.token:
                self.verdicts.known(event, profile, profile.revision)
        elif isinstance(verdict, Ask):
            work.asked.append(Asked(event, profile, profile.revision, verdict))
            self._asking[profile.image_key] += 1
        elif not isinstance(verdict, Echo):
            work.anomalies.append(anomaly_of(event, profile, verdict))

    def _lost(self, losses: list[wire.Loss], work: Work) -> None:
        """Keep a profile that learns from trusting an interval with losses; alert where it judges."""
        for key, lost in blind.by_image(losses).items():
            if partition_of(key) != self.number:
                log.error("partition %d, batch %d: a loss of %s", self.number, work.sequence, key)
                continue
            profile = self.profiles.get(key) or self._new(key)
            if profile is not None and work.sequence in profile.applied:
                work.learners[key] = profile
            elif profile is not None and profile.observing:
                work.learners[key] = profile
                profile.lost(blind.count_of(lost))
            else:
                revision = profile.revision if profile else 0
                work.anomalies.append(blind.interval_of(lost, key, revision))

    def _new(self, key: str) -> Profile | None:
        return None if self.frozen else self.roster.new(key)

    async def _finish(self, work: Work, sequence: int) -> None:
        await self._publisher.store(work.anomalies)
        for event, why, name in work.parked:
            await self._publisher.park(event, why, name)
        for raw, why, name in work.unread:
            await self._publisher.park_unread(raw, why, name)
        await self._ask(work.asked)
        await self.ledger.settle(sequence)

    # -- vectors ------------------------------------------------------------------------------

    async def _ask(self, asked: list[Asked]) -> None:
        if not asked:
            return
        keys = Counter(one.profile.image_key for one in asked)
        try:
            await self._publisher.store(await self._settle(asked))
        finally:
            self._asking -= keys

    def works_on(self, key: str) -> bool:
        """Whether open work holds the profile of this name, so that it must stay in memory."""
        return key in self._asking or key in self._resolving

    async def _settle(self, asked: list[Asked]) -> list[Anomaly]:
        embedded = await self._services.vectors.of([each.ask.form.text for each in asked])
        anomalies = []
        for (event, profile, revision, ask), (vector, model, threshold) in zip(asked, embedded, strict=True):
            profile.speaks(model)
            await self._complete(profile, [(ask.leaf, text) for text in ask.leaf.pending])
            miss = profile.settle(ask, vector, threshold)
            if miss:
                anomalies.append(anomaly_of(event, profile, miss))
            elif event.token:
                self.verdicts.known(event, profile, revision)
        await self.verdicts.flush()
        return anomalies

    async def _complete(self, profile: Profile, pending: list[tuple[Leaf, str]]) -> None:
        embedded = await self._services.vectors.of([text for _, text in pending])
        for (leaf, text), each in zip(pending, embedded, strict=True):
            profile.speaks(each.model)
            profile.resolve(leaf, text, each.vector, each.threshold)

    async def resolve(self, profile: Profile) -> None:
        """Get every verdict of rules and every vector that a profile still lacks."""
        await self._guard.review(profile)
        while pending := profile.pending():
            await self._complete(profile, pending)

    def _resolve_soon(self, profile: Profile) -> None:
        if profile.image_key not in self._resolving and (profile.lacks_vectors or profile.notes.due()):
            self._resolving.add(profile.image_key)
            self._start(self._resolve_once(profile))

    async def _resolve_once(self, profile: Profile) -> None:
        try:
            await self.resolve(profile)
        finally:
            self._resolving.discard(profile.image_key)

    # -- states -------------------------------------------------------------------------------

    async def _advance(self, profiles: dict[str, Profile]) -> None:
        for profile in profiles.values():
            self._resolve_soon(profile)
            if profile.ready():
                await self.detect(profile)

    async def tick(self) -> None:
        """Look whether a quiet profile has converged."""
        await self._advance({key: each for key, each in self.profiles.items() if each.observing})
        await self.verdicts.compare()

    async def detect(self, profile: Profile) -> None:
        """Turn a profile to detect and keep it before anything is judged by it."""
        profile.detect(time.time_ns())
        events, unseen = profile.learning.progress.events, profile.unseen
        log.info("learned %s: %d events, unseen %.4f", profile.image_key, events, unseen)
        await self.save()

    async def freeze(self) -> None:
        """Judge images that were never seen, from now on."""
        self.frozen = True
        await insist(subjects.PROFILES, self._tenure.freeze)

    async def save(self) -> None:
        """Keep what changed and acknowledge what is kept.

        Raises:
            Fenced: another replica owns the partition.
        """
        await self.ledger.save(self.roster)
        await self.verdicts.compare()

    async def renew(self) -> None:
        """Tell collectors again which revisions are in force."""
        await self.verdicts.renew()

    async def keep_alive(self) -> None:
        """Tell the broker that the held batches are still worked on."""
        await self.ledger.keep_alive()

    # -- tasks --------------------------------------------------------------------------------

    async def drain(self, wait_s: float) -> None:
        """Give open work a moment, then drop it: the stream still has its batches."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=wait_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Future[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("partition %d: open work failed", self.number, exc_info=task.exception())

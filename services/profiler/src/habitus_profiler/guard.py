# SPDX-License-Identifier: Apache-2.0
"""Keeps out of profiles what high-confidence rules hit, and, where set, what too few containers do.

What is new while a profile learns is held until the scorer's rules have looked at it (`habitus.guard`).
What they hit becomes an anomaly like any other and is never learned.
"""

import asyncio
import logging
import time
from typing import Final, Literal, NamedTuple

from habitus import subjects, wire
from habitus.anomalies import Anomaly
from habitus.bus import Bus, NobodyServes
from habitus.events import Event
from habitus.guarding import GuardReply, GuardRequest
from habitus_profiler.judgement import Ask, Echo, Miss
from habitus_profiler.keys import EVIDENCE
from habitus_profiler.notes import Held
from habitus_profiler.profile import Profile
from habitus_profiler.publish import Publisher, anomaly_of, fitted

log = logging.getLogger(__name__)

GRACE_S: Final = 10.0
"""A scorer that starts beside us has so long to answer for the first time, before we learn without it."""

_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 400_000
_ARGV_AT_MOST: Final = 16_384
_TIMEOUT_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


class Guarding(NamedTuple):
    """`rules`: `on` waits for the scorer as long as it must, `auto` learns without one that never answered.

    `replicas`: in how many containers a habit must be seen to count.
    """

    rules: Literal["auto", "on", "off"] = "auto"
    replicas: int = 1


class Guard:
    """The guard of one partition."""

    def __init__(self, bus: Bus, publisher: Publisher, settings: Guarding) -> None:
        self._bus = bus
        self._publisher = publisher
        self._settings = settings
        self._free = settings.rules == "off" and settings.replicas == 1
        self._began = time.monotonic()
        self._away = False
        self._asking = asyncio.Lock()

    # -- events -------------------------------------------------------------------------------

    def learn(self, event: Event, profile: Profile) -> Anomaly | None:
        """Learn an event, or hold it when it is new; the anomaly when it must never be learned."""
        if profile.notes.allows(event):
            profile.met(event)  # it lies over the profile, so that it can be undone
        elif self._free or event.op in EVIDENCE or (verdict := profile.judge(event)) is None:
            profile.learn(event)
        elif isinstance(verdict, Echo):
            profile.met(event)  # the file's open is held or refused, and speaks for it
        elif profile.notes.refusal(event) is None:
            self._hold(event, profile)
        else:
            profile.met(event)
            return anomaly_of(event, profile, _miss(verdict))
        return None

    def again(self, event: Event, profile: Profile) -> Anomaly | None:
        """Return the anomaly of an event that the profile has met already and must never learn."""
        if event.op in EVIDENCE or profile.notes.refusal(event) is None:
            return None
        verdict = profile.judge(event)
        if verdict is None or isinstance(verdict, Echo):
            return None
        return anomaly_of(event, profile, _miss(verdict))

    def _hold(self, event: Event, profile: Profile) -> None:
        enough = self._settings.replicas
        held = profile.notes.hold(event, _place(event), enough, profile.learning.progress.clock)
        # What waits for more containers is news when it is first met; the rest when it is learned.
        # What there is no room to hold is not learned, and stays news.
        news = held is None or (held.count == 1 and enough > 1)
        profile.met(event, int(news))
        if held is not None:
            held.cleared = held.cleared or self._settings.rules == "off"
            self._release(held, profile)

    def _release(self, held: Held, profile: Profile) -> None:
        enough = self._settings.replicas
        if held.cleared and len(held.places) >= enough:
            profile.notes.release(held)
            profile.admit(held, counted=enough > 1)

    # -- rules --------------------------------------------------------------------------------

    async def review(self, profile: Profile) -> None:
        """Return when the rules have looked at all that is held."""
        async with self._asking:  # twice at a time would learn twice
            await self._review(profile)

    async def _review(self, profile: Profile) -> None:
        pause = _FIRST_PAUSE_S
        while due := profile.notes.due():
            chosen, anomalies = self._chosen(due, profile)
            try:
                rules = await self._asked(anomalies)
            except NobodyServes as fault:
                if self._without(profile):
                    rules = [""] * len(chosen)
                else:
                    pause = await self._patience(pause, str(fault))
                    continue
            except (TimeoutError, wire.WireFault) as fault:
                pause = await self._patience(pause, str(fault))
                continue
            else:
                profile.notes.guarded, self._away, pause = True, False, _FIRST_PAUSE_S
            await self._take(profile, chosen, anomalies, rules)

    def _chosen(self, due: list[Held], profile: Profile) -> tuple[list[Held], list[Anomaly]]:
        """Return what fits into one request; what the profile contains by now needs none."""
        chosen: list[Held] = []
        anomalies: list[Anomaly] = []
        size = 0
        for held in due[:_AT_ONCE]:
            verdict = profile.judge(held.event)
            if verdict is None or isinstance(verdict, Echo):
                verdict = Miss("unknown-path", [profile.image_key], "known by now", [])
            anomaly = fitted(anomaly_of(held.event, profile, _miss(verdict)), _ARGV_AT_MOST)
            size += len(wire.encode(anomaly))
            if chosen and size > _BYTES_AT_ONCE:
                break
            chosen.append(held)
            anomalies.append(anomaly)
        return chosen, anomalies

    async def _asked(self, anomalies: list[Anomaly]) -> list[str]:
        payload = wire.encode(GuardRequest(anomalies=anomalies))
        reply = wire.decode(GuardReply, await self._bus.request(subjects.GUARD, payload, _TIMEOUT_S))
        if reply.error or len(reply.rules) != len(anomalies):
            raise TimeoutError(f"{subjects.GUARD}: {reply.error or 'not as many answers as questions'}")
        return reply.rules

    async def _take(
        self, profile: Profile, chosen: list[Held], anomalies: list[Anomaly], rules: list[str]
    ) -> None:
        hits = [anomaly for anomaly, rule in zip(anomalies, rules, strict=True) if rule]
        # Stored before it is forgotten here: should we die between, it is stored again under the same id.
        await self._publisher.store(hits)
        for held, rule in zip(chosen, rules, strict=True):
            profile.dirty = True
            if rule:
                log.warning("not learned by %s: rule %s hits it", profile.image_key, rule)
                profile.notes.release(held)
                profile.notes.refuse(held.event, rule)
                profile.changed()
            else:
                held.cleared = True
                self._release(held, profile)

    def _without(self, profile: Profile) -> bool:
        """Say whether to learn without rules: no scorer was ever there, and none comes up beside us."""
        if self._settings.rules != "auto" or profile.notes.guarded:
            return False
        if time.monotonic() - self._began < GRACE_S:
            return False
        if not self._away:
            log.warning("no scorer answers: no rule looks at what is learned (profiler.guard)")
        self._away = True
        return True

    async def _patience(self, pause: float, fault: str) -> float:
        log.debug("the rules: %s", fault)
        await asyncio.sleep(pause)
        return min(2 * pause, _LONGEST_PAUSE_S)


def _place(event: Event) -> str:
    pod = event.container.pod
    return event.container.id or (pod.uid if pod else None) or event.node or ""


def _miss(verdict: Miss | Ask) -> Miss:
    """Return a verdict as the anomaly that it would be, without asking for a vector."""
    if isinstance(verdict, Miss):
        return verdict
    detail = "arguments never seen here"
    return Miss("unknown-argument", verdict.path, detail, verdict.leaf.usual())

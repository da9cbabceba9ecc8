# SPDX-License-Identifier: Apache-2.0
"""What a person does to one profile: end its learning, or begin it anew; lock, forget; call an alert benign.

Each answer says that the change is kept: it survives a restart of the profiler.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from habitus.events import Event, fault_of
from habitus.images import image_key
from habitus.profiles import Blocker, ProfileReply, ProfileRequest
from habitus.text import printable
from habitus_profiler import report
from habitus_profiler.notes import FEEDBACK_AT_MOST, keys_of_all
from habitus_profiler.partition import Partition
from habitus_profiler.profile import Profile

_SUBJECT: Final = 200
_WORDS: Final[dict[Blocker, str]] = {
    "events": "too few events",
    "window": "less than a window of its time is learned",
    "news": "news in the window",
    "losses": "events were lost in the window",
    "forecast": "too many alerts are to come",
    "vectors": "vectors are still asked for",
    "rules": "rules are still asked",
}


class Refused(ValueError):
    """A wish that the profile's state forbids; the text says what to do, in one line."""


class Standing:
    """The operations of one partition that change the standing of a profile."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        changes: dict[str, Callable[[Profile, ProfileRequest], Awaitable[None]]] = {
            "detect": self._detect,
            "relearn": self._relearn,
            "lock": self._lock,
            "unlock": self._unlock,
            "forget": self._forget,
            "absorb": self._absorb,
            "undo": self._undo,
        }
        self.answers = {name: self._answering(name, change) for name, change in changes.items()}

    def _answering(
        self, name: str, change: Callable[[Profile, ProfileRequest], Awaitable[None]]
    ) -> Callable[[ProfileRequest], Awaitable[ProfileReply]]:
        async def answer(request: ProfileRequest) -> ProfileReply:
            key = request.image_key or ""
            profile = await self._partition.roster.get(key)
            if profile is None:
                return ProfileReply(
                    error=f"no profile {printable(key, _SUBJECT)}; see `habitus profile list`"
                )
            try:
                await change(profile, request)
            except Refused as fault:
                return ProfileReply(error=printable(str(fault), 300))
            if name != "forget":
                profile.notes.changed(name, request.who, request.why)
                profile.dirty = True
            await self._partition.save()
            if profile.dirty and name != "forget":
                return ProfileReply(error="done, but the broker does not keep it yet; it is tried again")
            marks = profile.notes.marks if name in {"absorb", "undo"} else []
            mine = [mark for mark in marks if mark.id == request.mark] or marks[-1:]
            return ProfileReply(
                summaries=[report.summary(profile)], mark=report.mark(mine[0]) if mine else None
            )

        return answer

    async def _detect(self, profile: Profile, request: ProfileRequest) -> None:
        if not profile.observing:
            raise Refused(f"it judges already ({profile.state})")
        blockers = report.summary(profile).convergence.blockers
        if blockers and not request.force:
            why = ", ".join(_WORDS[blocker] for blocker in blockers)
            raise Refused(f"not learned yet: {why}; --force ends its learning all the same")
        await self._partition.resolve(profile)
        profile.detect(time.time_ns())

    async def _relearn(self, profile: Profile, request: ProfileRequest) -> None:
        del request
        if profile.state == "locked":
            raise Refused("it is locked; `habitus profile unlock` first")
        profile.state = "relearn"
        profile.learning.begin_anew()
        profile.changed()

    async def _lock(self, profile: Profile, request: ProfileRequest) -> None:
        del request
        if profile.observing:
            raise Refused(f"it still learns ({profile.state}); `habitus profile detect` first")
        profile.state = "locked"

    async def _unlock(self, profile: Profile, request: ProfileRequest) -> None:
        del request
        if profile.state != "locked":
            raise Refused(f"it is not locked ({profile.state})")
        profile.state = "detect"

    async def _forget(self, profile: Profile, request: ProfileRequest) -> None:
        del request
        if profile.state == "locked":
            raise Refused("it is locked; `habitus profile unlock` first")
        self._partition.roster.forget(profile)

    async def _absorb(self, profile: Profile, request: ProfileRequest) -> None:
        if profile.state == "locked":
            raise Refused("it is locked: nothing is absorbed; `habitus profile unlock` first")
        if len(profile.notes.marks) >= FEEDBACK_AT_MOST:
            raise Refused(f"{FEEDBACK_AT_MOST} marks already; `habitus profile relearn` is due")
        events = [_event(record, profile) for record in request.events]
        if not events:
            raise Refused("the alert holds no event of this image that could be absorbed")
        profile.notes.mark(request.who, request.why, request.alert, keys_of_all(events))
        profile.changed()

    async def _undo(self, profile: Profile, request: ProfileRequest) -> None:
        if profile.state == "locked":
            raise Refused("it is locked; `habitus profile unlock` first")
        if not profile.notes.undo(request.mark, request.who):
            raise Refused(f"no mark {request.mark!r} that holds; see `habitus profile show`")
        profile.changed()


def _event(record: object, profile: Profile) -> Event:
    try:
        event = msgspec.convert(record, Event)
    except msgspec.ValidationError as error:
        raise Refused(f"an event of the alert cannot be read: {error}") from None
    fault = fault_of(event)
    if fault is not None:
        raise Refused(f"an event of the alert is no habit: {fault}")
    if image_key(event.container.image or "", event.container.image_digest) != profile.image_key:
        raise Refused("an event of the alert is of another image")
    return event

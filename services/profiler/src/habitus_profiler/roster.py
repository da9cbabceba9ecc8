# SPDX-License-Identifier: Apache-2.0
"""The profiles of one partition: in memory, at rest, or not loaded yet.

Who takes a partition over owns it at once and knows its profiles by name only. One is loaded when its first
event or an operator asks for it, the others beside the work. A profile at rest was put out of memory: its
snapshot says all that it knew, so its revision stays in force.
"""

import asyncio
import logging
import time
from typing import Final, NamedTuple

from habitus.profiles import ProfileSummary
from habitus_profiler import report
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.judgement import Limits
from habitus_profiler.profile import Profile
from habitus_profiler.tenure import Tenure

log = logging.getLogger(__name__)

_IN_MEMORY: Final = 2
"""Bytes that a loaded profile takes for each byte of its snapshot (docs/measured/profiler-scale.md)."""


class Resting(NamedTuple):
    """What stays in memory of a profile at rest: the summary as JSON, and the revision in force."""

    summary: bytes
    in_force: int


class Roster:
    """`profiles` are in memory, `resting` at rest, `waiting` not loaded yet (name → events, most first)."""

    def __init__(self, number: int, tenure: Tenure, limits: Limits, rule: Rule) -> None:
        self.profiles: dict[str, Profile] = {}
        self.resting: dict[str, Resting] = {}
        self.waiting = dict(sorted(tenure.names().items(), key=lambda item: -item[1]))
        self._number = number
        self._tenure = tenure
        self._limits = limits
        self._rule = rule
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._used: dict[str, float] = {}

    def names(self) -> set[str]:
        """Return the image key of every profile of the partition."""
        return {*self.profiles, *self.resting, *self.waiting}

    def absent(self, keys: set[str]) -> set[str]:
        """Return which of `keys` have a profile that is not in memory."""
        return {key for key in keys if key in self.waiting or key in self.resting}

    # -- loading ------------------------------------------------------------------------------

    async def get(self, key: str) -> Profile | None:
        """Return a profile, loaded if need be, and note its use; None when there is none that can be used.

        Raises:
            Fenced, one of STORE_FAULTS: as `Tenure.load`.
        """
        await self.load(key)
        self.touch(key)
        return self.profiles.get(key)

    async def load(self, key: str) -> None:
        """Have a profile in memory, if there is one; as `get`."""
        while key in self.waiting or key in self.resting:
            loading = self._loading.get(key)
            if loading is None:
                loading = self._loading[key] = asyncio.ensure_future(self._load(key))
            await asyncio.shield(loading)

    async def _load(self, key: str) -> None:
        try:
            profile = await self._tenure.load(key, self._limits, self._rule)
            if profile is not None:
                self.profiles[key] = profile
            self.waiting.pop(key, None)
            self.resting.pop(key, None)
        finally:
            del self._loading[key]

    async def every(self) -> list[Profile]:
        """Return all profiles, loaded."""
        found = [await self.get(key) for key in sorted(self.names())]
        return [profile for profile in found if profile]

    async def summary(self, key: str) -> ProfileSummary | None:
        """Return a profile at a glance; one at rest stays there."""
        resting = self.resting.get(key)
        if resting is not None:
            return ProfileSummary.model_validate_json(resting.summary)
        profile = await self.get(key)
        return report.summary(profile) if profile else None

    # -- coming and going ---------------------------------------------------------------------

    def new(self, key: str) -> Profile:
        """Begin a profile."""
        profile = Profile(key, self._number, self._limits, Learning(self._rule))
        self.put(profile)
        log.info("learning %s", key)
        return profile

    def put(self, profile: Profile) -> None:
        """Take a profile in, in the place of the one in memory, under a revision that was never in force."""
        profile.revision = max(profile.revision, self._tenure.floors.pop(profile.image_key, 1))
        self.profiles[profile.image_key] = profile
        self.touch(profile.image_key)

    def forget(self, profile: Profile) -> None:
        """Drop a profile for good: another of this name begins under a revision never used before."""
        del self.profiles[profile.image_key]
        self._used.pop(profile.image_key, None)
        self._tenure.floors[profile.image_key] = profile.revision + 1

    # -- room ---------------------------------------------------------------------------------

    def touch(self, key: str) -> None:
        """Note that a profile is used."""
        if key in self.profiles:
            self._used[key] = time.monotonic()

    def used(self, key: str) -> float:
        """Return when a profile was last used, by the monotonic clock; 0 if only loaded."""
        return self._used.get(key, 0.0)

    def bytes(self) -> int:
        """Return about how much memory the profiles take."""
        return _IN_MEMORY * sum(profile.bytes for profile in self.profiles.values())

    def rest(self, key: str) -> int:
        """Put a profile out of memory if its snapshot says all of it; return about how much that frees."""
        profile = self.profiles[key]
        if profile.observing or profile.dirty or profile.applied or profile.kept != profile.revision:
            return 0
        if profile.lacks_vectors or profile.notes.due():
            return 0
        summary = report.summary(profile).model_dump_json().encode()
        self.resting[key] = Resting(summary, profile.in_force)
        del self.profiles[key]
        self._used.pop(key, None)
        return _IN_MEMORY * profile.bytes

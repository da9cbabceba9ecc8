# SPDX-License-Identifier: Apache-2.0
"""Answers what concerns profiles of one repository: who may be the predecessor, a copy, a comparison."""

import zlib
from base64 import b64encode
from typing import Final

from habitus.images import repository_of
from habitus.profiles import Ancestor, ProfileReply, ProfileRequest
from habitus.text import printable
from habitus_profiler import snapshot
from habitus_profiler.difference import difference
from habitus_profiler.partition import Partition

_COPIED_AT_MOST: Final = 600_000


class Kinship:
    """The operations of one partition that concern kin: `ancestor`, `copy`, `diff`."""

    def __init__(self, partition: Partition) -> None:
        self._roster = partition.roster
        self._kin = partition.kin
        self.answers = {"ancestor": self.ancestor, "copy": self.copy, "diff": self.diff}

    async def ancestor(self, request: ProfileRequest) -> ProfileReply:
        """Name the latest profile of the same repository that has ever judged."""
        key = request.image_key or ""
        repository = repository_of(key)
        names = [each for each in self._roster.names() if each != key and repository_of(each) == repository]
        summaries = [await self._roster.summary(each) for each in names]
        kin = [
            Ancestor(image_key=each.image_key, last_event=each.last_event or 0)
            for each in summaries
            if each and each.converged
        ]
        return ProfileReply(ancestor=max(kin, key=lambda one: one.last_event, default=None))

    async def copy(self, request: ProfileRequest) -> ProfileReply:
        """Return a profile as its snapshot would be now."""
        profile = await self._roster.get(request.image_key or "")
        if profile is None:
            return ProfileReply(error=_absent(request.image_key))
        copied = zlib.compress(snapshot.sealed(profile, ""), 1)
        if len(copied) > _COPIED_AT_MOST:
            return ProfileReply(error=f"copy: {len(copied)} bytes are more than a message takes")
        return ProfileReply(copied=b64encode(copied).decode())

    async def diff(self, request: ProfileRequest) -> ProfileReply:
        """Compare a profile with `other`, or with what it started from."""
        after = await self._roster.get(request.image_key or "")
        if after is None:
            return ProfileReply(error=_absent(request.image_key))
        other = request.other or after.notes.predecessor
        if not other:
            return ProfileReply(error="it started from no other profile: name the one to compare with")
        before = await self._roster.get(other) or await self._kin.copy(other)
        if before is None:
            return ProfileReply(error=_absent(other))
        return ProfileReply(diff=difference(before, after))


def _absent(image_key: str | None) -> str:
    return f"no profile {printable(image_key or '', 200)}; see `habitus profile list`"

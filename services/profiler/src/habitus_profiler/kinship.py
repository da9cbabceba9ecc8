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

_PART: Final = 600_000
"""Bytes of a copy that one message carries."""
_COPIES: Final = 4


class Kinship:
    """The operations of one partition that concern kin: `ancestor`, `copy`, `diff`."""

    def __init__(self, partition: Partition) -> None:
        self._roster = partition.roster
        self._kin = partition.kin
        self._copies: dict[str, bytes] = {}
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
        """Return a profile as its snapshot would be now, in parts: the next begins at `offset`.

        All parts are of the copy that was made for the first: the profile may change meanwhile.
        """
        key = request.image_key or ""
        if request.offset == 0:
            profile = await self._roster.get(key)
            if profile is None:
                return ProfileReply(error=_absent(request.image_key))
            self._copies[key] = zlib.compress(snapshot.sealed(profile, ""), 1)
            while len(self._copies) > _COPIES:
                del self._copies[next(iter(self._copies))]
        copied = self._copies.get(key, b"")
        if request.offset >= len(copied):
            return ProfileReply(error="copy: too many others were asked for meanwhile")
        part = copied[request.offset : request.offset + _PART]
        return ProfileReply(copied=b64encode(part).decode(), copied_bytes=len(copied))

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

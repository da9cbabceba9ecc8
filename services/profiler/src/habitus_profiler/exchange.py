# SPDX-License-Identifier: Apache-2.0
"""Gives profiles out as documents and takes them in: `export` and `import` of `habitus.profile.*`."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np

from habitus import bills
from habitus.images import partition_of
from habitus.profiles import ProfileReply, ProfileRequest
from habitus.text import printable
from habitus_profiler import bill
from habitus_profiler.partition import Partition
from habitus_profiler.profile import Profile

log = logging.getLogger(__name__)

_LARGEST: Final = 900_000


class Exchange:
    """The documents of one partition's profiles."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self.answers: dict[str, Callable[[ProfileRequest], Awaitable[ProfileReply]]] = {
            "export": self.give,
            "import": self.take,
        }

    async def give(self, request: ProfileRequest) -> ProfileReply:
        """Return the profile `image_key` as a packed document."""
        profile = await self._partition.roster.get(request.image_key or "")
        if profile is None:
            return ProfileReply(error=f"no profile {printable(request.image_key or '', 200)}")
        packed = bills.packed(bill.exported(profile))
        if len(packed) > _LARGEST:
            return ProfileReply(error=f"the profile takes {len(packed)} bytes, more than a message holds")
        return ProfileReply(bill=packed)

    async def take(self, request: ProfileRequest) -> ProfileReply:
        """Take the document `bill` as the profile of `image_key`; `replace` allows for one that is there."""
        partition, key = self._partition, request.image_key or ""
        if not key or partition_of(key) != partition.number:
            return ProfileReply(error="image_key: which image of this partition?")
        if key in partition.roster.names() and not request.replace:
            return ProfileReply(
                error=f"{printable(key, 200)} has a profile already; replace it with --replace"
            )
        services = partition.services
        try:
            found = bill.imported(bills.unpacked(request.bill), services.limits, services.rule)
            await self._compare(found)
        except ValueError as fault:
            return ProfileReply(error=printable(str(fault), 300))
        await self._install(found.profile, key)
        await partition.save()
        log.info(
            "imported %s: revision %d, %s", printable(key, 200), found.profile.revision, found.profile.state
        )
        return ProfileReply()

    async def _compare(self, found: bill.Imported) -> None:
        """Get the vectors of what the document compares by, in its order."""
        models = set()
        for leaf, texts in found.compared:
            embedded = await self._partition.services.vectors.of(texts)
            models |= {each.model for each in embedded}
            leaf.texts = texts
            leaf.vectors = np.stack([each.vector.astype(np.float16) for each in embedded])
        if len(models) > 1:
            raise ValueError("the embedder's model changed meanwhile; import again")
        if models:
            found.profile.model = models.pop()

    async def _install(self, profile: Profile, key: str) -> None:
        old = await self._partition.roster.get(key)
        profile.image_key, profile.partition = key, self._partition.number
        profile.revision = max(profile.revision, old.revision if old else 0) + 1
        profile.kept, profile.dirty = 0, True
        # What the replaced profile has learned must not be learned when it comes again.
        profile.applied = set(old.applied) if old else set()
        self._partition.roster.put(profile)

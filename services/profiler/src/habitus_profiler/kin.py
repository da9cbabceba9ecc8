# SPDX-License-Identifier: Apache-2.0
"""Lets a new digest of a known repository start from its predecessor's profile.

The predecessor mostly lies in another partition: its owner is asked, as operators ask.
"""

import asyncio
import binascii
import logging
import zlib
from base64 import b64decode
from typing import Final

from pydantic import ValidationError

from habitus.asking import ask
from habitus.bus import Bus
from habitus.images import PARTITIONS, partition_of, repository_of
from habitus.profiles import ProfileReply, ProfileRequest
from habitus.text import printable
from habitus_profiler import snapshot
from habitus_profiler.convergence import Rule
from habitus_profiler.judgement import Limits
from habitus_profiler.profile import Profile

log = logging.getLogger(__name__)

_SOON_S: Final = 0.5
_COPY_S: Final = 5.0
_UNPACKED_AT_MOST: Final = 64 << 20
_PACKED_AT_MOST: Final = 32 << 20
_ATTEMPTS: Final = 3


class Kin:
    """Finds predecessors and fetches copies of profiles from whoever owns them."""

    def __init__(self, bus: Bus, limits: Limits, rule: Rule) -> None:
        self._bus = bus
        self._limits = limits
        self._rule = rule

    async def predecessor(self, image_key: str) -> Profile | None:
        """Return a copy of what a new image may start from: the repository's latest profile that judges."""
        if not repository_of(image_key):
            return None
        request = ProfileRequest(image_key=image_key)
        asked = (self._ask("ancestor", partition, request, _SOON_S) for partition in range(PARTITIONS))
        found = [reply.ancestor for reply in await asyncio.gather(*asked) if reply and reply.ancestor]
        if not found:
            return None
        return await self.copy(max(found, key=lambda one: one.last_event).image_key)

    async def copy(self, image_key: str) -> Profile | None:
        """Return a copy of any profile, None when its owner gives none."""
        for attempt in range(_ATTEMPTS):
            packed = await self._packed(image_key)
            if packed is None:
                break
            try:
                data = zlib.decompressobj().decompress(packed, _UNPACKED_AT_MOST)
                return snapshot.parsed(data, self._limits, self._rule, "")
            except (zlib.error, snapshot.SnapshotFault) as fault:
                # Its parts may be of two copies, where two profilers asked at once.
                level = logging.WARNING if attempt + 1 == _ATTEMPTS else logging.DEBUG
                log.log(level, "the copy of %s cannot be read: %s", printable(image_key, 200), fault)
        return None

    async def _packed(self, image_key: str) -> bytes | None:
        packed = b""
        while len(packed) < _PACKED_AT_MOST:
            request = ProfileRequest(image_key=image_key, offset=len(packed))
            reply = await self._ask("copy", partition_of(image_key), request, _COPY_S)
            if reply is None or reply.error or not reply.copied:
                why = printable((reply.error if reply else None) or "no answer", 200)
                log.info("no copy of %s: %s", printable(image_key, 200), why)
                return None
            try:
                packed += b64decode(reply.copied)
            except binascii.Error as fault:
                log.warning("the copy of %s cannot be read: %s", printable(image_key, 200), fault)
                return None
            if len(packed) >= reply.copied_bytes:
                return packed
        log.warning("no copy of %s: it is larger than %d bytes", printable(image_key, 200), _PACKED_AT_MOST)
        return None

    async def _ask(
        self, operation: str, partition: int, request: ProfileRequest, timeout_s: float
    ) -> ProfileReply | None:
        try:
            return await ask(self._bus, operation, partition, request, timeout_s)
        except (TimeoutError, ValidationError):
            return None


def adopt(profile: Profile, ancestor: Profile) -> None:
    """Let a new profile start from what another knows, and from what people and rules said of that."""
    profile.process, profile.file, profile.network = ancestor.process, ancestor.file, ancestor.network
    profile.model = ancestor.model
    notes, before = profile.notes, ancestor.notes
    notes.marks, notes.allowed, notes.refused = before.marks, before.allowed, before.refused
    notes.guarded, notes.predecessor = before.guarded, ancestor.image_key
    profile.changed()

# SPDX-License-Identifier: Apache-2.0
"""Tells collectors which events the profiles of one partition contain, so that they send them no more.

All of it is soft state: what is lost on the way only means that an event comes once more. Nothing is
said of a profile that learns, nor of a revision that no snapshot holds yet: after a kill such a
revision could come back with other contents.
"""

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Final

import nats.errors

from habitus import subjects, wire
from habitus.bus import Bus
from habitus.events import Event
from habitus_profiler.keys import EVIDENCE
from habitus_profiler.profile import Profile
from habitus_profiler.roster import Roster

log = logging.getLogger(__name__)

RENEW_S: Final = 2.0
LEASE_S: Final = 10.0
"""A collector whose profiler fell silent forgets after so long."""

_TOKEN: Final = 16
_TOKENS_AT_ONCE: Final = 4096
_IMAGES_AT_ONCE: Final = 1000


class _Waiting:
    """Tokens of one node and profile that wait for the next flush."""

    __slots__ = ("profile", "revision", "tokens")

    def __init__(self, profile: Profile, revision: int) -> None:
        self.profile = profile
        self.revision = revision
        self.tokens: set[bytes] = set()


class Verdicts:
    """The verdicts and revisions of one partition: of profiles in memory and of those at rest."""

    def __init__(self, bus: Bus, roster: Roster) -> None:
        self._bus = bus
        self._profiles = roster.profiles
        self._resting = roster.resting
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._told: dict[str, int] = {}

    def known(self, event: Event, profile: Profile, revision: int) -> None:
        """Note that this revision of the profile contains the event, which carries a token."""
        if event.op not in EVIDENCE:
            self.contained(event.node, profile, revision, [event.token])

    def contained(self, node: str | None, profile: Profile, revision: int, tokens: Iterable[bytes]) -> None:
        """Note that this revision of the profile contains what the tokens of a node stand for."""
        if not node:
            return
        place = (node, profile.image_key)
        waiting = self._waiting.get(place)
        if waiting is None or waiting.revision != revision or waiting.profile is not profile:
            waiting = self._waiting[place] = _Waiting(profile, revision)
        waiting.tokens.update(token for token in tokens if len(token) == _TOKEN)

    async def flush(self) -> None:
        """Send what was noted, as far as it still holds."""
        if not self._waiting:
            return
        noted, self._waiting = self._waiting, {}
        for (node, image), waiting in noted.items():
            tokens = iter(waiting.tokens)
            while chunk := list(islice(tokens, _TOKENS_AT_ONCE)):
                # Asked again for each: sending may wait, and the profile may move meanwhile.
                if self._in_force(image) != waiting.revision or self._profiles[image] is not waiting.profile:
                    break
                verdicts = wire.Verdicts(image=image, revision=waiting.revision, tokens=chunk)
                await self._send(subjects.verdicts(node), wire.encode(verdicts))

    async def compare(self) -> None:
        """Tell at once which revisions changed since they were last told; 0: no longer in force."""
        now = {key: resting.in_force for key, resting in self._resting.items()}
        now |= {key: profile.in_force for key, profile in self._profiles.items()}
        told = self._told
        changed = {key: revision for key, revision in now.items() if told.get(key, 0) != revision}
        changed |= dict.fromkeys((key for key in told if key not in now), 0)
        self._told = now
        await self._tell(changed)

    async def renew(self) -> None:
        """Repeat every revision in force: collectors forget what is not repeated."""
        await self.compare()
        await self._tell({key: revision for key, revision in self._told.items() if revision})

    def _in_force(self, image: str) -> int:
        profile = self._profiles.get(image)
        return profile.in_force if profile else 0

    async def _tell(self, revisions: dict[str, int]) -> None:
        items = iter(revisions.items())
        while chunk := dict(islice(items, _IMAGES_AT_ONCE)):
            message = wire.Revisions(images=chunk, lease_s=LEASE_S)
            await self._send(subjects.REVISIONS, wire.encode(message))

    async def _send(self, subject: str, payload: bytes) -> None:
        if not self._bus.nc.is_connected:
            return  # the client would keep it, and it would be old when it goes
        try:
            await self._bus.nc.publish(subject, payload)
        except nats.errors.Error as error:
            log.debug("%s: %s", subject, error or type(error).__name__)

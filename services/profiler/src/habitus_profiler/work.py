# SPDX-License-Identifier: Apache-2.0
"""What a batch leaves open after its synchronous part."""

from typing import NamedTuple

from habitus.anomalies import Anomaly
from habitus.events import Event
from habitus_profiler.judgement import Ask
from habitus_profiler.profile import Profile


class Asked(NamedTuple):
    """An event that only a vector can decide, and the profile's revision when it was judged."""

    event: Event
    profile: Profile
    revision: int
    ask: Ask


class Work:
    """Of the batch `sequence`: anomalies to store, events to ask about or to park, profiles that learned.

    `unread`: what could not even be read, as it stands in the message. Both kinds of parked: with the
    reason and a name.
    """

    __slots__ = ("_contained", "anomalies", "asked", "learners", "parked", "sequence", "unread")

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.anomalies: list[Anomaly] = []
        self.asked: list[Asked] = []
        self.parked: list[tuple[Event, str, str]] = []
        self.unread: list[tuple[bytes, str, str]] = []
        self.learners: dict[str, Profile] = {}
        self._contained: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self.anomalies or self.asked or self.parked or self.unread)

    def is_contained(self, profile: Profile) -> bool:
        """Say whether the profile had learned from this batch before it came now."""
        contained = self._contained.get(profile.image_key)
        if contained is None:
            contained = self._contained[profile.image_key] = self.sequence in profile.applied
        return contained

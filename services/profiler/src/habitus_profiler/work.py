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

    `fault`: why the rest of the batch could not be read, or empty.
    """

    __slots__ = ("_contained", "anomalies", "asked", "fault", "learners", "parked", "sequence")

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.anomalies: list[Anomaly] = []
        self.asked: list[Asked] = []
        self.parked: list[tuple[Event, str, str]] = []
        self.learners: dict[str, Profile] = {}
        self.fault = ""
        self._contained: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self.anomalies or self.asked or self.parked)

    def is_contained(self, profile: Profile) -> bool:
        """Say whether the profile had learned from this batch before it came now."""
        contained = self._contained.get(profile.image_key)
        if contained is None:
            contained = self._contained[profile.image_key] = self.sequence in profile.applied
        return contained

# SPDX-License-Identifier: Apache-2.0
"""Events of one container in one batch, taken by what their profile remembers of such events.

What every event of a container tells alike (that it lives, where its node is) is noted once for all of them.
"""

from habitus_profiler.batch import Place
from habitus_profiler.glance import Glance
from habitus_profiler.profile import Profile
from habitus_profiler.verdicts import Verdicts


class Streak:
    """`contained`: the profile learned from this batch before it came now."""

    __slots__ = (
        "_contained",
        "_container",
        "_familiar",
        "_learns",
        "_node",
        "_times",
        "_tokens",
        "_verdicts",
        "profile",
    )

    def __init__(self, profile: Profile, place: Place, verdicts: Verdicts, *, contained: bool) -> None:
        self.profile = profile
        self._container = place.container
        self._contained = contained
        self._learns = profile.observing
        self._familiar = profile.familiar
        self._verdicts = verdicts
        self._node: str | None = None
        self._times: list[int] = []
        self._tokens: list[bytes] = []

    def takes(self, glance: Glance) -> bool:
        """Learn or judge an event that the profile remembers; False when the whole of it is to be read."""
        try:
            key = glance.key()
        except Exception:  # noqa: BLE001  # whatever an attacker found, it is found again in the whole, and told
            return False
        habit = self._familiar.get(key) if key is not None else None
        if habit is None:
            return False
        if self._contained:
            return not self.profile.notes.refused
        if self._learns:
            if not habit.learned:
                return False
            habit.count()
            self.profile.learning.saw(glance.ts, habit.counts, 0, glance.node or "")
        elif habit.tells and glance.token:
            if glance.node != self._node:
                self._tell()
                self._node = glance.node
            self._tokens.append(glance.token)
        self._times.append(glance.ts)
        return True

    def end(self) -> None:
        """Note what is left to note of the events taken so far."""
        self._tell()
        if not self._times:
            return
        self.profile.fleet.saw(self._container, max(self._times))
        if self._learns:
            self.profile.span(min(self._times))
            self.profile.span(max(self._times))
        self._times = []

    def _tell(self) -> None:
        if self._tokens:
            self._verdicts.contained(self._node, self.profile, self.profile.revision, self._tokens)
            self._tokens = []


def end(streaks: dict[int, Streak]) -> None:
    """Note what is left to note of each, and begin anew: what comes may change what a profile remembers."""
    for streak in streaks.values():
        streak.end()
    streaks.clear()

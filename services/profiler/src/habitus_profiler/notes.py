# SPDX-License-Identifier: Apache-2.0
"""What people and rules said of a profile, beside what it learned; kept in its snapshot.

A habit is named by its key: the place in the profile with the arguments in normal form, as JSON. Habits
that a person marked benign lie over the tries and do not change them, so that undoing is exact.
"""

import json
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from habitus.events import Event
from habitus_profiler import habits
from habitus_profiler.forms import form_of
from habitus_profiler.paths import exe_place

_HELD_AT_MOST: Final = 1024
_REFUSED_AT_MOST: Final = 1024
_CHANGES_AT_MOST: Final = 200
FEEDBACK_AT_MOST: Final = 1000
"""Marks that a profile keeps; beyond, it is time to learn it anew."""


class Mark(msgspec.Struct):
    """Habits that a person or slow tuning called benign: who, when (nanoseconds since the epoch), why."""

    id: str
    who: str
    when: int
    why: str
    alert: str
    habits: list[str]
    undone_by: str = ""
    undone_when: int = 0


class Refusal(msgspec.Struct):
    """A habit that a high-confidence rule hit while it was to be learned."""

    rule: str
    event_id: str
    when: int


class Held(msgspec.Struct):
    """News that is not learned yet: its first event, how often and in which containers it was seen.

    `at` is the profile's time when it was first seen. `cleared`: no rule hits it; it waits for more
    containers.
    """

    event: Event
    at: float
    count: int = 0
    places: list[str] = []
    cleared: bool = False


class Watched(msgspec.Struct):
    """Evidence for a behaviour that may be tuned (see `tuning`): where it was scored low, and for how long.

    `last`: the newest verdict, in nanoseconds since the epoch. `veto`: why it is never tuned, or empty.
    """

    habits: list[str]
    places: list[str] = []
    last: int = 0
    seconds: float = 0.0
    highest: float = 0.0
    veto: str = ""


class Change(msgspec.Struct):
    """What somebody did to the profile as a whole."""

    what: str
    who: str
    when: int
    why: str


class Notes(msgspec.Struct):
    """All of it. `predecessor` is the image key that the profile started from.

    `allowed`: how many marks that hold name a habit.
    `guarded`: the rules have answered at least once; from then on nothing new is learned without them.
    """

    marks: list[Mark] = []
    allowed: dict[str, int] = {}
    refused: dict[str, Refusal] = {}
    held: dict[str, Held] = {}
    changes: list[Change] = []
    predecessor: str = ""
    guarded: bool = False
    watched: dict[str, Watched] = {}

    # -- people -------------------------------------------------------------------------------

    def allows(self, event: Event) -> bool:
        """Say whether a person called all habits of the event benign."""
        return bool(self.allowed) and all(key in self.allowed for key in keys_of(event))

    def mark(self, who: str, why: str, alert: str, keys: list[str]) -> Mark:
        """Call the habits of these keys benign."""
        mark = Mark(f"f{len(self.marks) + 1}", who, time.time_ns(), why, alert, keys)
        self.marks.append(mark)
        for key in keys:
            self.allowed[key] = self.allowed.get(key, 0) + 1
        return mark

    def undo(self, mark_id: str, who: str) -> bool:
        """Take a mark back; False when there is none that holds."""
        for mark in self.marks:
            if mark.id == mark_id and not mark.undone_when:
                mark.undone_by, mark.undone_when = who, time.time_ns()
                for key in mark.habits:
                    self.allowed[key] -= 1
                    if not self.allowed[key]:
                        del self.allowed[key]
                return True
        return False

    def changed(self, what: str, who: str, why: str) -> None:
        """Remember what somebody did."""
        self.changes.append(Change(what, who, time.time_ns(), why))
        del self.changes[:-_CHANGES_AT_MOST]

    # -- rules and replicas -------------------------------------------------------------------

    def refusal(self, event: Event) -> Refusal | None:
        """Return why the event must not be learned, None when nothing speaks against it."""
        if not self.refused or self.allows(event):
            return None
        return next((self.refused[key] for key in keys_of(event) if key in self.refused), None)

    def refuse(self, event: Event, rule: str) -> None:
        """Never learn the habits of `event`; the oldest refusal makes room."""
        for key in keys_of(event):
            self.refused.setdefault(key, Refusal(rule, event.id, time.time_ns()))
        while len(self.refused) > _REFUSED_AT_MOST:
            del self.refused[next(iter(self.refused))]

    def hold(self, event: Event, place: str, enough: int, at: float) -> Held | None:
        """Keep news of the time `at` until it may be learned; None when too much is held already."""
        key = "\n".join(keys_of(event))
        held = self.held.get(key)
        if held is None:
            if len(self.held) >= _HELD_AT_MOST:
                return None
            held = self.held[key] = Held(event, at)
        held.count += 1
        if place not in held.places and len(held.places) < enough:
            held.places.append(place)
        return held

    def due(self) -> list[Held]:
        """Return the news that no rule has looked at yet."""
        return [held for held in self.held.values() if not held.cleared]

    def release(self, held: Held) -> None:
        """Hold it no longer."""
        self.held.pop("\n".join(keys_of(held.event)), None)


def keys_of_all(events: Iterable[Event]) -> list[str]:
    """Return the keys of the habits of `events`, each once."""
    return list(dict.fromkeys(key for event in events for key in keys_of(event)))


def keys_of(event: Event) -> list[str]:
    """Return the key of each habit of an event; rename and link have two."""
    if event.class_ == "file":
        paths = [("file", *path) for path in habits.file_paths(event)]
    elif event.class_ == "network":
        paths = [("network", *habits.flow_path(event))]
    else:
        process = event.process
        exe = exe_place(process.exe).text if process and process.exe else ""
        argv = tuple(process.argv) if process and process.argv else (event.process_name,)
        paths = [("process", *habits.process_path(event), exe, form_of(argv).text)]
    return [json.dumps(path) for path in paths]

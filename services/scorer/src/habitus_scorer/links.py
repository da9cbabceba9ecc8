# SPDX-License-Identifier: Apache-2.0
"""Which incident a key leads to: a process, a pattern, a deed. Bounded for each incident."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Note = TypeVar("Note")


class Links(Generic[Key, Note]):
    """Keys that lead to incidents, each with a note; a key leads to who linked it last.

    Args:
        most: keys of one incident; its oldest leaves.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._to: dict[Key, tuple[str, Note]] = {}
        self._of: dict[str, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._to)

    def of(self, key: Key) -> str:
        """Return the incident's id, or an empty one."""
        found = self._to.get(key)
        return found[0] if found else ""

    def note(self, key: Key) -> Note | None:
        """Return what was noted with the key."""
        found = self._to.get(key)
        return found[1] if found else None

    def link(self, key: Key, incident_id: str, note: Note) -> None:
        """Let `key` lead to an incident."""
        former = self._to.get(key)
        if former is not None and former[0] != incident_id:
            self._of[former[0]].pop(key, None)
        self._to[key] = (incident_id, note)
        own = self._of.setdefault(incident_id, {})
        own[key] = None
        if len(own) > self._most:
            oldest = next(iter(own))
            del own[oldest], self._to[oldest]

    def forget(self, incident_id: str) -> None:
        """Drop every key of an incident."""
        for key in self._of.pop(incident_id, ()):
            del self._to[key]

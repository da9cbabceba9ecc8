# SPDX-License-Identifier: Apache-2.0
"""What a profile remembers of events that it knew: one that comes again costs a look-up by its key.

Memory only, and only of this revision: whatever changes the profile makes it forget.
"""

from typing import Final

from habitus_profiler.keys import Key
from habitus_profiler.leaf import Run
from habitus_profiler.trie import Node

_MOST: Final = 4096


class Habit:
    """What to do with an event whose key comes again.

    Attributes:
        tells: collectors may be told that it is known.
        learned: it was learned, so that `count` learns it again; else it was judged only.
        counts: 1 for what is a habit, 0 for what is none of its own.
    """

    __slots__ = ("_nodes", "_run", "counts", "learned", "tells")

    def __init__(
        self,
        *,
        tells: bool = True,
        learned: bool = True,
        nodes: tuple[Node, ...] = (),
        run: Run | None = None,
    ) -> None:
        self.tells = tells
        self.learned = learned
        self.counts = int(bool(nodes or run))
        self._nodes = nodes
        self._run = run

    def count(self) -> None:
        """Count one more observation of what is learned."""
        for node in self._nodes:
            node.ends += 1
        if self._run is not None:
            self._run.again()


JUDGED: Final = Habit(learned=False)
UNTOLD: Final = Habit(learned=False, tells=False)


class Familiar(dict[Key, Habit]):
    """Key → habit, of the latest few thousand."""

    def remember(self, key: Key, habit: Habit) -> None:
        """Keep a habit; where there are too many, all others make room."""
        if len(self) >= _MOST:
            self.clear()
        self[key] = habit

# SPDX-License-Identifier: Apache-2.0
"""Who waits for which text, and which texts run together."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# A text longer than this takes the room of several: what waits is bounded in memory too.
_ROOM_CHARACTERS: Final = 1024


@dataclass(eq=False, slots=True)
class Job:
    """One request: its distinct texts with the rows known so far, and how many are missing."""

    rows: dict[str, bytes]
    missing: int
    done: asyncio.Future[None]

    def fill(self, text: str, row: bytes) -> None:
        """Take the row of one text; the last one ends the job."""
        self.rows[text] = row
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the job with an error, unless it has ended already."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class Waiting:
    """Every text that somebody waits for, once, in the order of asking.

    Attributes:
        asked: text → the jobs that wait for it, until it is answered.
        texts: how many have not been given to a run yet.
        room: the same, weighed by length.
    """

    asked: dict[str, list[Job]] = field(default_factory=dict)
    texts: int = 0
    room: int = 0
    _order: deque[str] = field(default_factory=deque)
    _some: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, job: Job, texts: Sequence[str]) -> None:
        """Let `job` wait for `texts`; one that is asked for already is not asked twice."""
        new = []
        for text in texts:
            jobs = self.asked.get(text)
            if jobs is not None:
                jobs.append(job)
                continue
            self.asked[text] = [job]
            new.append(text)
        self._order.extend(new)
        self.texts += len(new)
        self.room += room(new)
        self._some.set()

    async def window(self, most: int) -> list[str]:
        """Wait for texts; return up to `most` of them, the oldest, and none that nobody wants any more."""
        while True:
            await self._some.wait()
            taken = [self._order.popleft() for _ in range(min(most, len(self._order)))]
            if not self._order:
                self._some.clear()
            asked = self.asked
            wanted = [text for text in taken if not asked[text][0].done.done() or self.wanted(text)]
            if wanted:
                return wanted

    def wanted(self, text: str) -> bool:
        """Tell whether somebody still waits for `text`; it is forgotten where nobody does."""
        for job in self.asked[text]:
            if not job.done.done():
                return True
        self.started([text])
        del self.asked[text]
        return False

    def started(self, texts: Sequence[str]) -> None:
        """Count texts as waiting no more."""
        self.texts -= len(texts)
        self.room -= room(texts)

    def answer(self, rows: dict[str, bytes]) -> None:
        """Hand rows to all who wait for them."""
        pop = self.asked.pop
        for text, row in rows.items():
            for job in pop(text, ()):
                job.fill(text, row)

    def fail(self, text: str, error: Exception) -> None:
        """Fail all who wait for `text`."""
        for job in self.asked.pop(text, ()):
            job.fail(error)


def room(texts: Sequence[str]) -> int:
    """Return the places that texts take in the queue."""
    if max(map(len, texts), default=0) < _ROOM_CHARACTERS:
        return len(texts)
    return sum(1 + len(text) // _ROOM_CHARACTERS for text in texts)


class Batch(NamedTuple):
    """Texts of like length with their features, and what the run costs with its padding."""

    texts: list[str]
    features: list[Sized]

    @property
    def tokens(self) -> int:
        """What the texts themselves have."""
        return sum(map(len, self.features))

    @property
    def padded(self) -> int:
        """What the run computes: texts × the longest."""
        return len(self.features) * max(map(len, self.features))

    def halves(self) -> "tuple[Batch, Batch]":
        """Return the two halves of a batch of two or more."""
        middle = len(self.texts) // 2
        return (
            Batch(self.texts[:middle], self.features[:middle]),
            Batch(self.texts[middle:], self.features[middle:]),
        )


def batches(
    texts: Sequence[str], features: Sequence[Sized], max_batch: int, max_tokens: int
) -> Iterator[Batch]:
    """Sort by length and cut into batches within both bounds; a text beyond the bound runs alone.

    The longest go first: a run that does not fit in memory is then found before the others are done.
    """
    lengths = list(map(len, features))
    order = sorted(range(len(texts)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        end = start + max(1, min(max_batch, max_tokens // longest))
        chosen = order[start:end]
        yield Batch([texts[at] for at in chosen], [features[at] for at in chosen])
        start = end

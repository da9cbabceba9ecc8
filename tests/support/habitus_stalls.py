# SPDX-License-Identifier: Apache-2.0
"""Sees when the host lets a processor stand still or crawl: a bench then tells what of its tail that is.

One small process on each processor naps for two milliseconds and counts to 600, again and again, before all
others where the system allows that: nothing of the bench, which waits behind it, can hold it up. Where a look
at the clock comes ten milliseconds after the one before, the processor was not let run; where counting takes
2.5 times its median for twenty milliseconds on end, it ran at less than half its speed. A neighbour on the
same core does not slow it that much. Without the right to go first a busy processor may look like one that
stands still; `exact` is then False.

`python habitus_stalls.py CPU` is such a process: it ends with its input, and tells then what it saw.
"""

import asyncio
import contextlib
import gc
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

_NAP_S: Final = 0.002
_COUNTED: Final = 600
_STOOD_S: Final = 0.010
_TOGETHER: Final = 10
_CRAWLED: Final = 2.5

Span = tuple[float, float]
"""From and until, by `time.monotonic`."""


class StallWatch:
    """`async with StallWatch() as watch: …`; then `watch.spans` are the stalls of any processor, in order.

    `watch.others_cores`: how many processors were taken by processes that are not ours, nor our children.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.exact = True
        self.others_cores = 0.0
        self._since = (0.0, 0.0)
        self._watchers: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        for cpu in sorted(os.sched_getaffinity(0)):
            watcher = await asyncio.create_subprocess_exec(
                sys.executable, "-S", __file__, str(cpu), stdin=pipe, stdout=pipe
            )
            self._watchers.append(watcher)
            assert watcher.stdout
            await watcher.stdout.readline()  # it watches
        self._since = (time.monotonic(), others_s())
        return self

    async def __aexit__(self, *_: object) -> None:
        begun, used = self._since
        self.others_cores = (others_s() - used) / (time.monotonic() - begun)
        seen: list[Span] = []
        for watcher in self._watchers:
            told, _ = await watcher.communicate(b"")  # which ends its input
            found = json.loads(told)
            self.exact = self.exact and found["first"]
            seen += [(begun, ended) for begun, ended in found["stalls"]]
        self.spans = merged(seen)

    @property
    def seconds(self) -> float:
        """How long any processor stood still or crawled, in all."""
        return sum(ended - begun for begun, ended in self.spans)

    def touches(self, begun: float, ended: float) -> bool:
        """Tell whether a stall lies, also in part, in this time."""
        return any(since < ended and until > begun for since, until in self.spans)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, those that touch as one."""
    whole: list[Span] = []
    for begun, ended in sorted(spans):
        if whole and begun <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(ended, whole[-1][1]))
        else:
            whole.append((begun, ended))
    return whole


def stalls(looks: Sequence[Span]) -> list[Span]:
    """Return when a processor stood still or crawled.

    Args:
        looks: when each count began and ended, in order.
    """
    if not looks:
        return []
    stood = [(before, now) for (before, _), (now, _) in pairwise(looks) if now - before >= _STOOD_S]
    usual = statistics.median(ended - begun for begun, ended in looks)
    crawled = []
    for at in range(0, len(looks), _TOGETHER):
        some = looks[at : at + _TOGETHER]
        # The median of the few: one interrupt is no crawl.
        if statistics.median(ended - begun for begun, ended in some) >= _CRAWLED * usual:
            crawled.append((some[0][0], some[-1][1]))
    return merged([*stood, *crawled])


def others_s() -> float:
    """Return the processor seconds that all processes but ours have used."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split(maxsplit=4)[1:4])
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = path.read_text().rsplit(")", 1)[1].split()
            # Its own, and that of its children that have ended.
            parents[path.parent.name], used[path.parent.name] = fields[1], sum(map(int, fields[11:15]))
    ours = {str(os.getpid())}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return (user + nice + system - sum(used.get(pid, 0) for pid in ours)) / os.sysconf("SC_CLK_TCK")


def _count() -> int:
    total = 0
    for number in range(_COUNTED):
        total += number
    return total


def _watch(cpu: int) -> None:
    os.sched_setaffinity(0, {cpu})
    first = True
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        first = False
    gc.disable()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    sys.stdout.write("watching\n")
    sys.stdout.flush()
    looks: list[Span] = []
    while not ended.is_set():
        time.sleep(_NAP_S)
        begun = time.monotonic()
        _count()
        looks.append((begun, time.monotonic()))
    sys.stdout.write(json.dumps({"first": first, "stalls": stalls(looks)}))


if __name__ == "__main__":
    _watch(int(sys.argv[1]))

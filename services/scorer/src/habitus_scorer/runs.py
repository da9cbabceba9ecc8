# SPDX-License-Identifier: Apache-2.0
"""One run of a script: a process that began a moment ago, and what it starts.

A job's shell, a session's or a connection's process serves one purpose and one hand. A server, or a
shell that waits, serves many. What tells them apart is how long they have been there
(docs/decisions/0028-one-run-is-one-story.md).
"""

from typing import Final

from habitus.anomalies import Anomaly
from habitus_scorer.links import Links

RUN_S: Final = 60.0
"""A process and its children are one story for so long after it began."""

_INITS: Final = frozenset({
    "catatonit", "docker-init", "dumb-init", "init", "runsv", "runsvdir", "s6-supervise", "s6-svscan",
    "supervisord", "systemd", "tini",
})  # fmt: skip
"""Programs that only start others: what stands below them is as good as first."""

_SAME_NS: Final = 1_000_000_000
"""Readings of one start differ by as much as the wall clock was set in between."""


class Runs(Links[tuple[str, int], int]):
    """Which incident a run leads to, by its container and pid; noted is when it began."""

    def begin(self, container: str, anomaly: Anomaly, incident_id: str) -> None:
        """Let the run that an exec is a step of, if it is of one, lead to an incident."""
        process = anomaly.event.process
        if process is None or not process.ppid or not process.parent_started:
            return
        above = [name for name in process.ancestors or () if name not in _INITS]
        is_first = above[1:] == []  # a container's first process is its service
        if not is_first and _lasts(process.parent_started, anomaly.event.ts):
            self.link((container, process.ppid), incident_id, process.parent_started)

    def led_to(self, container: str, anomaly: Anomaly) -> str:
        """Return the incident of the run that an anomaly is a step of, or an empty id."""
        process = anomaly.event.process
        if process is None:
            return ""
        for pid, started in ((process.ppid or 0, process.parent_started), (process.pid or 0, None)):
            key = (container, pid)
            begun = self.note(key)
            if begun is not None and _lasts(begun, anomaly.event.ts) and _is(started, begun):
                return self.of(key)
        return ""


def _lasts(started: int, moment: int) -> bool:
    return moment - started <= RUN_S * 1e9


def _is(started: int | None, begun: int) -> bool:
    """Say whether a pid stands for the same process: it may have been given anew within the minute."""
    return started is None or abs(started - begun) <= _SAME_NS

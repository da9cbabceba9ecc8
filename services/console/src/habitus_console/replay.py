# SPDX-License-Identifier: Apache-2.0
"""`habitus replay`: learn from one recording, judge another, one line of verdict an event."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from habitus.alerts import Alert, ScoredAnomaly
from habitus.profiles import ProfileSummary
from habitus_console import profiles, results
from habitus_console.feed import Fed, Report, feed, line_of
from habitus_console.progress import Progress
from habitus_console.stack import Stack

LEARN: Final = "learn"
DETECT: Final = "detect"
# Every service but the collector: the recording stands in for the kernel.
SERVICES: Final = ("embedder", "llm-gateway", "profiler", "scorer")
# Ports of their own, so that a replay runs beside a `habitus up`.
# Nobody is to be woken by what happened long ago: no sinks, whatever the settings say.
# The whole recording is learned, also where the evidence would have sufficed before its end.
_ENVIRONMENT: Final = {
    "HABITUS_EMBEDDER_PORT": "0",
    "HABITUS_LLM_PORT": "0",
    "HABITUS_PROFILER_DETECT": "command",
    "HABITUS_SCORER_SINKS": "",
}
T = TypeVar("T")
Show = Callable[[list[ProfileSummary]], None]


@dataclass(frozen=True)
class Recordings:
    """What to learn from, what to judge, where the verdicts go."""

    learn: Path
    detect: Path
    out: Path


async def replay(
    files: Recordings, settings: Path | None, report: Report, show: Show, progress: Progress
) -> dict[str, int]:
    """Learn, converge, judge, write the verdicts and the alerts; return counts for a summary.

    `show` gets the profiles as the recording leaves them, before their learning is ended by command.
    """
    learn, detect = files.learn, files.detect
    environment = _ENVIRONMENT | ({"HABITUS_SETTINGS": str(settings.resolve())} if settings else {})
    with tempfile.TemporaryDirectory(prefix="habitus-replay-") as folder:
        async with Stack(Path(folder), SERVICES, environment) as stack, stack.bus() as bus:
            with progress.bytes(f"learning {learn.name}", learn.stat().st_size) as advance:
                learned = await _guarded(stack, feed(bus, learn, LEARN, report, advance))
            with progress.waiting("learning the last of it"):
                await _guarded(stack, profiles.synchronise(bus, learned.last_sequence))
            show(await _guarded(stack, profiles.summaries(bus)))
            with progress.waiting("converging every profile"):
                await _guarded(stack, profiles.converge(bus, learned.last_sequence, freeze=True))
            with progress.bytes(f"judging {detect.name}", detect.stat().st_size) as advance:
                judged = await _guarded(stack, feed(bus, detect, DETECT, report, advance))
            with progress.waiting("waiting for the last verdict"):
                await _guarded(stack, profiles.synchronise(bus, judged.last_sequence))
            with progress.count("scoring") as so_far:
                scores = await _guarded(stack, results.scored(bus, so_far))
            raised = await results.alerts(bus)
    return _write(files.out, learned, judged, scores, raised)


async def _guarded(stack: Stack, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, but fail at once with its last words when a service ends meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=0.5)
            if not task.done():
                stack.check()
        return task.result()
    finally:
        task.cancel()


def _write(
    out: Path, learned: Fed, judged: Fed, scores: Iterable[ScoredAnomaly], raised: list[Alert]
) -> dict[str, int]:
    by_line = _by_line(scores)
    alert_of = {alert.incident: alert.id for alert in raised}
    with out.open("w", encoding="utf-8") as file:
        for number in judged.lines:
            file.write(json.dumps(_verdict(number, by_line.get(number), alert_of)) + "\n")
    with alerts_path(out).open("w", encoding="utf-8") as file:
        for alert in raised:
            file.write(alert.model_dump_json() + "\n")
    return {
        "learned": len(learned.lines),
        "judged": len(judged.lines),
        "anomalies": len(by_line),
        "alerts": len(raised),
        "bad_lines": learned.bad + judged.bad,
    }


def alerts_path(out: Path) -> Path:
    """Where the alerts of a replay go: `OUT.alerts.jsonl`, for `OUT` and for `OUT.jsonl` alike."""
    stem = out.name.removesuffix(".jsonl")
    return out.with_name(f"{stem}.alerts.jsonl")


def _by_line(scores: Iterable[ScoredAnomaly]) -> dict[int, ScoredAnomaly]:
    found = ((line_of(DETECT, score.event_id), score) for score in scores)
    return {line: score for line, score in found if line is not None}


def _verdict(number: int, score: ScoredAnomaly | None, alert_of: dict[str, str]) -> dict[str, Any]:
    if score is None:
        return {
            "line": number,
            "verdict": "known",
            "reason": None,
            "score": None,
            "engines": {},
            "alert": None,
        }
    engines = {
        name: {"points": engine.points, "abstained": engine.abstained}
        for name, engine in score.engines.items()
    }
    return {
        "line": number,
        "verdict": "anomaly",
        "reason": score.reason,
        "score": score.score,
        "engines": engines,
        "alert": alert_of.get(score.incident),
    }

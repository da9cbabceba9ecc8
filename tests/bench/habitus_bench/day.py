# SPDX-License-Identifier: Apache-2.0
"""A recorded mixed day through the real profiler and scorer: what a person is told of it.

Two days of a small shop are made from a fixed seed: one to learn from, one to judge, with drift and
attacks in it. Both go through `habitus replay`'s own way. Nothing of the rules was written from it.
"""

import asyncio
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from habitus_bench.day_events import ATTACKS, RELEASE_S, attacks, drift, released
from habitus_bench.day_habits import DAY_S, live, units
from habitus_bench.tape import SECOND, Tape
from habitus_console.feed import line_of
from habitus_console.progress import Progress
from habitus_console.replay import DETECT, Recordings, alerts_path, replay

_BEGIN = 1_795_478_400 * SECOND
_SEED = 20261124


def measure() -> dict[str, float]:
    """Play the day, print what became of each deed, return the figures."""
    with tempfile.TemporaryDirectory(prefix="habitus-day-") as name:
        folder = Path(name)
        learn, judged = _yesterday(), _today()
        files = Recordings(folder / "learn.jsonl", folder / "detect.jsonl", folder / "out.jsonl")
        learn.write(files.learn)
        deeds = judged.write(files.detect)
        quiet = Progress(Console(stderr=True, quiet=True))
        counts = asyncio.run(replay(files, None, _said, lambda _profiles: None, quiet))
        verdicts = [json.loads(line) for line in files.out.read_text().splitlines()]
        alerts = [json.loads(line) for line in alerts_path(files.out).read_text().splitlines()]
    told = _told(alerts, deeds)
    _show(verdicts, alerts, deeds, told)
    once = sum(_is_once(name, told) for name in ATTACKS)
    missed = sum(not told[name] for name in ATTACKS)
    return {
        "day.events": len(deeds),
        "day.anomalies": counts["anomalies"],
        "day.alerts": len(alerts),
        "day.alert_revisions": sum(alert["revision"] for alert in alerts),
        "day.attacks": len(ATTACKS),
        "day.attacks_alerted_once": once,
        "day.attacks_missed": missed,
        "day.false_alerts": sum(
            not any(alert in told[name] for name in ATTACKS) for alert in range(len(alerts))
        ),
    }


def _yesterday() -> Tape:
    tape = Tape(_SEED, _BEGIN - DAY_S * SECOND)
    for unit in units():
        live(tape, unit, 0, DAY_S)
    return tape


def _today() -> Tape:
    tape = Tape(_SEED + 1, _BEGIN)
    before, after = units(), units(api="shop/api:v2")
    for unit in before:
        live(tape, unit, 0, RELEASE_S if unit.image == "shop/api:v1" else DAY_S)
    fresh = [unit for unit in after if unit.image == "shop/api:v2"]
    for unit in fresh:
        live(tape, unit, RELEASE_S, DAY_S)
        released(tape, unit)
    drift(tape, before)
    attacks(tape, [unit for unit in before if unit.image != "shop/api:v1"] + fresh)
    return tape


def _said(line: str) -> None:
    raise RuntimeError(f"the day's own recording has a bad line: {line}")


def _told(alerts: list[dict[str, Any]], deeds: list[str]) -> Mapping[str, set[int]]:
    """Return which alerts (by place in the list) hold an event of each deed."""
    found: dict[str, set[int]] = defaultdict(set)
    for number, alert in enumerate(alerts):
        for departure in alert["departures"]:
            line = line_of(DETECT, departure["event_id"])
            if line is not None:
                found[deeds[line - 1]].add(number)
    return found


def _show(
    verdicts: list[dict[str, Any]],
    alerts: list[dict[str, Any]],
    deeds: list[str],
    told: Mapping[str, set[int]],
) -> None:
    departed = Counter(deeds[one["line"] - 1] for one in verdicts if one["verdict"] == "anomaly")
    events = Counter(deeds)
    names = [*ATTACKS, *sorted(name for name in events if name.startswith("~")), ""]
    sys.stdout.write("the day, by deed                 events  anomalies  alerts\n")
    for name in names:
        label = name or "ordinary work"
        row = f"  {label:<30} {events[name]:>6}  {departed[name]:>9}  {len(told[name]):>6}"
        sys.stdout.write(row + _verdict(name, told) + "\n")
    for number, alert in enumerate(alerts):
        if not any(number in told[name] for name in ATTACKS):
            where = alert["where"]["pod"]
            sys.stdout.write(f"  false: {alert['title']['en']} ({where}, {alert['score']:g})\n")


def _is_once(name: str, told: Mapping[str, set[int]]) -> bool:
    """Say whether an attack has one alert, which tells of no other attack."""
    others = set().union(*(told[other] for other in ATTACKS if other != name))
    return len(told[name]) == 1 and not told[name] & others


def _verdict(name: str, told: Mapping[str, set[int]]) -> str:
    if name not in ATTACKS:
        return ""
    if len(told[name]) == 1:
        return "  once" if _is_once(name, told) else "  in another's alert"
    return "  told more than once" if told[name] else "  MISSED"


if __name__ == "__main__":
    for figure, value in measure().items():
        sys.stdout.write(f"{figure} {value}\n")

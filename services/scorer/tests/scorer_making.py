# SPDX-License-Identifier: Apache-2.0
"""Anomalies for tests, and a scorer that runs as its own process."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from habitus import subjects, wire
from habitus.alerts import Alert, ScoredAnomaly
from habitus.anomalies import Anomaly
from habitus.bus import Bus
from habitus.engines import Finding, Score, bounded
from habitus.events import Event
from habitus.images import image_key, partition_of
from habitus.languages import Bilingual
from habitus_scorer.incident import Judged

TS = 1_764_000_000_000_000_000
POD = {"name": "web-0", "namespace": "shop", "uid": "6f1f7c9e-0000-4000-8000-0123456789ab"}
FINDING = Finding(id="r", title=Bilingual(en="a deed", zh="行为"), level="high")


def event(argv: list[str] | None = None, **parts: Any) -> Event:
    """Return one event; `pid`, `ppid`, `exe`, `ancestors`, `seconds` and `container` may be given.

    `parent_age`: seconds for which the parent has been there.
    """
    argv = argv or ["./xmrig", "-o", "pool.minexmr.com:4444"]
    name = argv[0].rsplit("/", 1)[-1]
    raw = {
        "ts": TS + int(parts.get("seconds", 0) * 1e9),
        "node": "n1",
        "class": parts.get("class_", "process"),
        "op": parts.get("op", "exec"),
        "container": {
            "id": "c" * 64, "name": "web", "image": "webapp:v1", "pod": POD, **parts.get("container", {}),
        },
        "process": {
            "pid": parts.get("pid", 41), "ppid": parts.get("ppid", 7), "uid": 0,
            "exe": parts.get("exe", f"/app/{name}"), "name": parts.get("name", name), "argv": argv,
            "parent": "bash", "ancestors": parts.get("ancestors", ["bash", "tini"]),
        },
        **{key: parts[key] for key in ("file", "network") if key in parts},
    }  # fmt: skip
    made = msgspec.convert(raw, Event)
    if "parent_age" in parts and made.process:
        made.process.parent_started = made.ts - int(parts["parent_age"] * 1e9)
    made.id = str(parts.get("id", f"e{parts.get('pid', 41)}-{parts.get('seconds', 0)}"))
    return made


def anomaly(argv: list[str] | None = None, **parts: Any) -> Anomaly:
    """Return one anomaly; see `event` for the parts."""
    happened = event(argv, **parts)
    key = image_key(happened.container.image or "")
    reason = parts.get("reason", "unknown-path")
    return Anomaly(
        id=str(parts.get("anomaly_id", f"{happened.id}:{reason}")),
        event=happened,
        image_key=key,
        revision=3,
        reason=reason,
        path=parts.get("path", [key, "bash", happened.process_name]),
        detail="first unknown node: xmrig",
        confidence=parts.get("confidence", 1.0),
    )


def judged(one: Anomaly, points: float = 30, level: str = "high") -> Judged:
    """Return an anomaly to which rules gave `points`, by a finding of `level` if any."""
    findings = [FINDING.model_copy(update={"level": level})] if points else []
    return Judged.of(one, {"rule": bounded(Score(points=points, findings=findings), 40)})


async def publish(bus: Bus, *anomalies: Anomaly) -> None:
    """Publish as the profiler does."""
    for each in anomalies:
        subject = subjects.anomalies(partition_of(each.image_key))
        await bus.js.publish(subject, wire.encode(each), headers={"Nats-Msg-Id": each.id})


async def until(ready: Callable[[], Awaitable[Any]]) -> None:
    """Wait until `ready` answers something true."""
    while True:
        if await ready():
            return
        await asyncio.sleep(0.02)


async def stored(bus: Bus, stream: str, count: int) -> list[bytes]:
    """Wait until `stream` holds `count` messages and return all that it holds."""

    async def enough() -> bool:
        return (await bus.js.stream_info(stream)).state.messages >= count

    await until(enough)
    state = (await bus.js.stream_info(stream)).state
    if not state.messages:
        return []
    return [
        (await bus.js.get_msg(stream, seq=sequence)).data or b""
        for sequence in range(state.first_seq, state.last_seq + 1)
    ]


async def scores(bus: Bus, count: int) -> list[ScoredAnomaly]:
    return [ScoredAnomaly.model_validate_json(raw) for raw in await stored(bus, subjects.SCORES, count)]


async def alerts(bus: Bus, count: int) -> list[Alert]:
    return [Alert.model_validate_json(raw) for raw in await stored(bus, subjects.ALERTS, count)]


@contextlib.asynccontextmanager
async def scorer(environment: dict[str, str], **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the scorer as its own process until the block ends (then killed, if it still runs)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "habitus_scorer",
        env=environment | {f"HABITUS_SCORER_{name.upper()}": value for name, value in settings.items()},
        cwd=Path(__file__).parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()

# SPDX-License-Identifier: Apache-2.0
"""Finds the evidence of an alert: in a saved file, in the stream EVIDENCE, else in the alert alone."""

import os
import sys
from pathlib import Path
from typing import Final

from nats.js.errors import NotFoundError

from habitus import subjects
from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.evidence import Evidence, EvidenceFault
from habitus.settings import Settings
from habitus.text import printable
from habitus_console import results, state

_NAMED: Final = 5
_LARGEST: Final = 64 << 20


async def found(asked: str, settings: Settings) -> Evidence:
    """Return the bundle that `asked` means: a file (`-`: standard input), an alert's id or its beginning.

    Raises:
        EvidenceFault: there is none, or several begin so.
        StateFault: no broker is known.
    """
    if asked == "-":
        return Evidence.unpack(sys.stdin.buffer.read(_LARGEST))
    if Path(asked).is_file():
        try:
            return Evidence.unpack(Path(asked).read_bytes())
        except EvidenceFault as fault:
            raise EvidenceFault(f"{printable(asked, 200)}: {fault}") from None
    async with Bus(state.broker(settings), "console") as bus:
        return await kept(bus, asked)


async def kept(bus: Bus, asked: str) -> Evidence:
    """Return the bundle of the alert whose id is, or begins with, `asked`; the prefix `a-` may be left out.

    Raises:
        EvidenceFault: there is none, or several begin so.
    """
    named = await _names(bus)
    alert_id = _only(named, asked)
    if alert_id is None:
        alerts = {alert.id: alert for alert in await results.alerts(bus)}
        alert_id = _only(list(alerts), asked)
        if alert_id is None:
            raise EvidenceFault(f"no alert {printable(asked, 100)}: see `habitus alerts`")
        return of_alert(alerts[alert_id])
    message = await bus.js.get_last_msg(subjects.EVIDENCE, subjects.evidence_of(alert_id))
    return Evidence.unpack(message.data or b"")


def of_alert(alert: Alert) -> Evidence:
    """Return what can be told without a bundle: no anomaly is whole, nothing can be repeated."""
    weightiest = max(alert.departures, key=lambda one: one.score, default=None)
    return Evidence(
        made=alert.raised,
        habitus="",
        alert=alert,
        alert_at=0,
        decisive=weightiest.anomaly_id if weightiest else "",
        anomalies=[],
    )


def save(evidence: Evidence, file: Path) -> None:
    """Write a bundle, compressed where the name ends in `.gz`, for its owner alone: argv may hold secrets."""
    data = evidence.pack() if file.suffix == ".gz" else evidence.as_json().encode()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(data)


async def _names(bus: Bus) -> list[str]:
    everything = subjects.evidence_of("")[:-1] + ">"
    try:
        info = await bus.js.stream_info(subjects.EVIDENCE, subjects_filter=everything)
    except NotFoundError:
        return []
    return [subject.rsplit(".", 1)[-1] for subject in info.state.subjects or {}]


def _only(names: list[str], asked: str) -> str | None:
    for whole in (asked, f"a-{asked}"):
        if whole in names:
            return whole
    begun = sorted(name for name in names if name.startswith((asked, f"a-{asked}")))
    if len(begun) > 1:
        some = ", ".join(printable(name, 40) for name in begun[:_NAMED])
        raise EvidenceFault(f"{len(begun)} alerts begin with {printable(asked, 100)}: {some}")
    return begun[0] if begun else None

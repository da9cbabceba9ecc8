# SPDX-License-Identifier: Apache-2.0
"""Alerts for tests of the store, and how they come to it."""

import time
from typing import Any

from habitus import subjects
from habitus.alerts import Alert, Departure, Severity, Where, Who
from habitus.bus import Bus
from habitus.engines import EngineScore, Finding
from habitus.languages import Bilingual

TOKEN = "a-token-of-this-test"
TS = time.time_ns()
"""Recent: what is old is removed."""


def alert(alert_id: str = "a-1", **parts: Any) -> Alert:
    """Return one alert; `rule`, `where` and any field of it may be given."""
    rule = parts.pop("rule", "miner-arguments")
    where = {"node": "n1", "namespace": "shop", "pod": "web-0", "container": "web", "image": "webapp:v1"}
    finding = Finding(id=rule, title=Bilingual(en="miner", zh="矿工"))
    fields = {
        "id": alert_id,
        "incident": alert_id.replace("a-", "i-"),
        "severity": Severity.HIGH,
        "title": Bilingual(en="High: container cryptomining", zh="高危：容器挖矿行为检测"),
        "advice": Bilingual(en="Isolate", zh="隔离"),
        "score": 80,
        "engines": {"rule": EngineScore(points=30, max_points=40, findings=[finding])},
        "techniques": ["T1496"],
        "where": Where(**where | parts.pop("where", {})),
        "who": Who(pid=1, name="xmrig"),
        "departures": [
            Departure(anomaly_id="x", event_id="y", reason="unknown-path", path=["p"], detail="d", score=80)
        ],
        "first_seen": TS,
        "raised": TS,
        "latency_ms": 1.5,
        "events": [],
    }
    return Alert(**fields | parts)


async def publish(bus: Bus, *alerts: Alert) -> None:
    """Publish as the scorer does."""
    for one in alerts:
        await bus.js.publish(subjects.alerts(one.severity), one.model_dump_json().encode())

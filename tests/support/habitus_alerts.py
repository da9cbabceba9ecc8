# SPDX-License-Identifier: Apache-2.0
"""Alerts in which everything that is observed is one text, and what a terminal shows."""

import io

from rich.console import Console

from habitus.alerts import Alert, Departure, Severity, Where, Who
from habitus.engines import EngineScore
from habitus.languages import Bilingual
from habitus.policies import isolate_pod

HOSTILE = ["\x1b]0;title\x07", "[bold red]markup[/]", "\u202egnp.exe", "a\nb\rc", "\x9b31m", "[/]"]


def alert_with(text: str) -> Alert:
    return Alert(
        id="a-1",
        incident="i-1",
        severity=Severity.HIGH,
        title=Bilingual(en=f"High: {text}", zh=f"高危：{text}"),
        advice=Bilingual(en="Isolate", zh="隔离"),
        explanation=Bilingual(en=text, zh=text),
        score=80,
        engines={
            "rule": EngineScore(points=30, max_points=40),
            "llm": EngineScore(abstained=True, note=text, max_points=35),
        },
        techniques=[text],
        where=Where(node=text, namespace="shop", pod=text, container=text, container_id=text, image=text),
        who=Who(pid=1, uid=0, name=text, exe=text, argv=[text, text], lineage=["bash", text]),
        departures=[
            Departure(
                anomaly_id="x",
                event_id="y",
                reason="unknown-path",
                path=[text],
                detail=text,
                usual=[text],
                score=80,
            )
        ],
        action=isolate_pod("shop", "web-0", {"app": "web"}),
        first_seen=1,
        raised=2,
        latency_ms=1.5,
        events=[],
    )


def shown(renderable: object, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(renderable)
    return out.getvalue()

# SPDX-License-Identifier: Apache-2.0
"""Falco's JSON output, as falcosidekick and whatever else reads Falco takes it."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from habitus.alerts import Alert, Severity
from habitus.images import image_key, repository_of
from habitus.languages import Language
from habitus.sinks import SinkServices
from habitus_scorer.sinks.http import HttpSettings, Poster
from habitus_scorer.sinks.text import delivery_id, shown, words_of

_PRIORITY: Final = {
    Severity.INFO: "Informational",
    Severity.LOW: "Notice",
    Severity.MEDIUM: "Warning",
    Severity.HIGH: "Error",
    Severity.CRITICAL: "Critical",
}
_FIELD: Final = 500
_MOST_TAGS: Final = 16


class FalcosidekickSink:
    """Posts to falcosidekick's root."""

    def __init__(self, services: SinkServices) -> None:
        self._poster = Poster(services, services.checked(HttpSettings))
        self._language = services.language

    async def send(self, alert: Alert) -> None:
        """Post one revision."""
        body = json.dumps(falco_of(alert, self._language)).encode()
        await self._poster.post(body, {"Idempotency-Key": delivery_id(alert)})

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def falco_of(alert: Alert, language: Language) -> dict[str, Any]:
    """Return the alert as Falco would tell it; the source is `syscall`, the rule is the alert's title."""
    words = words_of(alert, language)
    moment = datetime.fromtimestamp(alert.raised // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    time = f"{moment}.{alert.raised % 10**9:09d}Z"
    priority = _PRIORITY[alert.severity]
    output = f"{time} {priority} {words.title} | {words.place} | {words.command} | {words.advice}"
    return {
        "output": output,
        "priority": priority,
        "rule": shown(alert.title.en, 200),
        "time": time,
        "source": "syscall",
        "hostname": shown(alert.where.node or "", _FIELD),
        "tags": ["habitus", *(shown(name, 40) for name in alert.techniques[:_MOST_TAGS])],
        "output_fields": _fields(alert, words.command),
    }


def _fields(alert: Alert, command: str) -> dict[str, Any]:
    where, who = alert.where, alert.who
    key = image_key(where.image)
    repository = repository_of(key) or key
    named: dict[str, Any] = {
        "evt.time": alert.raised,
        "container.id": (where.container_id or "")[:12],
        "container.name": where.container,
        "container.image.repository": repository,
        "container.image.tag": key.removeprefix(f"{repository}:") if "@" not in key else None,
        "k8s.ns.name": where.namespace,
        "k8s.pod.name": where.pod,
        "k8s.pod.uid": where.pod_uid,
        "proc.name": who.name,
        "proc.exepath": who.exe,
        "proc.cmdline": command,
        "proc.pname": who.lineage[-2] if len(who.lineage) > 1 else None,
        "proc.pid": who.pid,
        "user.uid": who.uid,
        "habitus.alert": alert.id,
        "habitus.revision": alert.revision,
        "habitus.score": alert.score,
        "habitus.severity": str(alert.severity),
    }
    # A null field makes falcosidekick's outputs fail.
    return {
        key: shown(value, _FIELD) if isinstance(value, str) else value
        for key, value in named.items()
        if value is not None and value != ""
    }

# SPDX-License-Identifier: Apache-2.0
"""Prometheus Alertmanager, API v2.

Alertmanager knows an alert by its labels. So they hold only what stays the same over the revisions of
one alert; what changes is annotations. The severity is a label all the same, because routes go by it:
when it changes, the entry with the former one is resolved in the same request. Which one that was is kept in
memory; after a restart every other one is resolved, which Alertmanager may tell beside the alert.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import Field

from habitus.alerts import Alert, Severity
from habitus.languages import Language
from habitus.sinks import SinkServices
from habitus_scorer.sinks.http import HttpSettings, Poster
from habitus_scorer.sinks.text import delivery_id, link_of, shown, words_of

_PATH: Final = "/api/v2/alerts"
_NAME: Final = "HabitusAlert"
_LABEL: Final = 255
_REMEMBERED: Final = 4096
_RESOLVED: Final = timedelta(seconds=1)


class AlertmanagerSettings(HttpSettings):
    """As every HTTP sink; the address is Alertmanager's own, without a path."""

    open_s: float = Field(default=14_400, gt=0, description="it stays open so long after its last revision")
    link: str | None = Field(default=None, description="address of an alert's page; {id} is replaced")


class AlertmanagerSink:
    """Posts alerts."""

    def __init__(self, services: SinkServices) -> None:
        self._settings = services.checked(AlertmanagerSettings)
        self._language = services.language
        self._poster = Poster(services, self._settings, _PATH)
        self._told: OrderedDict[str, Severity] = OrderedDict()

    async def send(self, alert: Alert) -> None:
        """Post one revision, with what it replaces."""
        link = link_of(self._settings.link, alert)
        entries = entries_of(alert, self._language, self._settings.open_s, link, self._over(alert))
        body = json.dumps(list(entries)).encode()
        await self._poster.post(body, {"Idempotency-Key": delivery_id(alert)})
        self._told[alert.id] = alert.severity
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    def _over(self, alert: Alert) -> Sequence[Severity]:
        before = self._told.get(alert.id)
        if before is not None:
            return [] if before is alert.severity else [before]
        return [other for other in Severity if other is not alert.severity] if alert.revision > 1 else []

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def entries_of(
    alert: Alert, language: Language, open_s: float, link: str = "", over: Sequence[Severity] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the alert as it stands, then, as resolved, what it was with the severities of `over`."""
    raised = datetime.fromtimestamp(alert.raised / 1e9, UTC)
    # A clock of a node that is ahead must not make it end before it begins.
    starts = min(datetime.fromtimestamp(alert.first_seen / 1e9, UTC), raised - _RESOLVED)
    common: dict[str, Any] = {"startsAt": starts.isoformat(), "annotations": _annotations(alert, language)}
    if link:
        common["generatorURL"] = link
    ends = raised + timedelta(seconds=open_s)
    yield {"labels": _labels(alert, alert.severity), "endsAt": ends.isoformat(), **common}
    for severity in over:
        yield {"labels": _labels(alert, severity), "endsAt": raised.isoformat(), **common}


def _labels(alert: Alert, severity: Severity) -> dict[str, str]:
    fixed = {"alertname": _NAME, "alert": alert.id, "severity": str(severity)}
    return fixed | {name: shown(value, _LABEL) for name, value in _first_place(alert).items() if value}


def _first_place(alert: Alert) -> dict[str, str | None]:
    # `where` follows the weightiest departure; the first one stays the first.
    event = alert.events[0] if alert.events else {}
    container = event.get("container") or {}
    pod = container.get("pod") or {}
    return {
        "node": event.get("node"),
        "namespace": pod.get("namespace"),
        "pod": pod.get("name"),
        "container": container.get("name"),
        "image": container.get("image") or alert.where.image,
    }


def _annotations(alert: Alert, language: Language) -> dict[str, str]:
    words = words_of(alert, language)
    given = {
        "summary": words.title,
        "description": "\n".join(words.why),
        "place": words.place,
        "command": words.command,
        "lineage": words.lineage,
        "advice": words.advice,
        "explanation": words.explanation,
        "action": words.action,
        "score": f"{alert.score:g}",
        "techniques": shown(", ".join(alert.techniques), _LABEL),
        "revision": str(alert.revision),
    }
    return {name: text for name, text in given.items() if text}

# SPDX-License-Identifier: Apache-2.0
"""An alert as words. What was observed is an attacker's: escaped and cut before any format sees it."""

from dataclasses import dataclass
from typing import Final

from habitus.alerts import Alert
from habitus.languages import Language
from habitus.text import printable

_WHY: Final = 3
_TEXT: Final = 1000
_NAME: Final = 255


def shown(value: object, most: int = _TEXT) -> str:
    r"""Return at most `most` characters without control or direction characters (`\x1b`, `\u202e`)."""
    text = printable(str(value), most)
    return text if len(text) <= most else text[: most - 1] + "…"


def delivery_id(alert: Alert) -> str:
    """Return what is the same whenever one revision of one alert is sent."""
    return f"{alert.id}:{alert.revision}"


@dataclass(frozen=True)
class Words:
    """One alert in one language, each part printable and bounded; absent parts are empty.

    Attributes:
        place: the Pod or the container, and the node.
        command: the program and its arguments; `lineage` from the first process down to it.
        why: the first departures; `more` counts the others.
        labels: what identifies the place, by the names that most receivers use, without empty ones.
    """

    title: str
    advice: str
    explanation: str
    place: str
    command: str
    lineage: str
    why: tuple[str, ...]
    more: int
    action: str
    labels: dict[str, str]


def words_of(alert: Alert, language: Language) -> Words:
    """Return the words of an alert."""
    who = alert.who
    explanation = alert.explanation.in_(language) if alert.explanation else ""
    return Words(
        title=shown(alert.title.in_(language), 200),
        advice=shown(alert.advice.in_(language)),
        explanation=shown(explanation),
        place=_place(alert),
        command=shown(" ".join([who.exe or who.name, *who.argv[1:]])),
        lineage=shown(" → ".join(who.lineage), 500),
        why=tuple(shown(f"{one.reason}: {one.detail}", 500) for one in alert.departures[:_WHY]),
        more=max(0, len(alert.departures) - _WHY) + alert.omitted,
        action=shown(alert.action.title.in_(language), 300) if alert.action else "",
        labels=labels_of(alert),
    )


def labels_of(alert: Alert) -> dict[str, str]:
    """Return the names of the place, without those that nobody knows."""
    where = alert.where
    names = {
        "node": where.node,
        "namespace": where.namespace,
        "pod": where.pod,
        "container": where.container,
        "container_id": where.container_id,
        "image": where.image,
    }
    return {name: shown(value, _NAME) for name, value in names.items() if value}


def link_of(template: str | None, alert: Alert) -> str:
    """Return the address of an alert's page: `{id}` of the setting `link` replaced, empty without one."""
    return template.replace("{id}", alert.id) if template else ""


def _place(alert: Alert) -> str:
    where = alert.where
    unit = f"{where.namespace}/{where.pod}" if where.pod else where.container or where.container_id or "?"
    node = f" @ {where.node}" if where.node else ""
    return shown(f"{unit} ({where.image}){node}", 500)

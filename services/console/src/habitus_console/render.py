# SPDX-License-Identifier: Apache-2.0
"""Shows alerts and profiles to a person. Observed text enters as `Text`, escaped, never as markup."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from habitus.alerts import Alert, Severity
from habitus.engines import EngineScore
from habitus.languages import Bilingual, Language
from habitus.text import printable

_COLOURS: Final = {
    Severity.INFO: "dim",
    Severity.LOW: "cyan",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "bold red",
    Severity.CRITICAL: "bold white on red",
}
_OTHERS: Final = 8
FIRST: Final = Bilingual(en="(first process)", zh="(首个进程)")
"""Stands for the parent that a container's first process does not have."""
_WORDS: Final = {
    "pod": Bilingual(en="Pod", zh="Pod"),
    "container": Bilingual(en="Container", zh="容器"),
    "image": Bilingual(en="Image", zh="镜像"),
    "others": Bilingual(en="Also in", zh="同时出现于"),
    "process": Bilingual(en="Process", zh="进程"),
    "lineage": Bilingual(en="Lineage", zh="进程链"),
    "score": Bilingual(en="Score", zh="评分"),
    "why": Bilingual(en="Why", zh="原因"),
    "usual": Bilingual(en="Usual here", zh="常见行为"),
    "explanation": Bilingual(en="Explanation", zh="解释"),
    "technique": Bilingual(en="ATT&CK", zh="ATT&CK"),
    "advice": Bilingual(en="Advice", zh="建议"),
    "action": Bilingual(en="Action", zh="处置"),
    "abstained": Bilingual(en="abstained", zh="弃权"),
}


def safe(value: object, limit: int = 400) -> Text:
    """Return observed text for a terminal: escaped, cut, without markup or style of its own."""
    return Text(printable(str(value), limit))


def alert(one: Alert, language: Language, state: str = "") -> RenderableType:
    """One alert as a panel; the title stands in both languages, the state beside the id."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for word, value in _rows(one, language):
        grid.add_row(_WORDS[word].in_(language), value)
    other: Language = "en" if language == "zh" else "zh"
    title = Text(
        printable(f"{one.title.in_(language)} · {one.title.in_(other)}"), style=_COLOURS[one.severity]
    )
    return Panel(
        grid,
        title=title,
        title_align="left",
        border_style=_COLOURS[one.severity],
        subtitle=safe(f"{one.id} · {state}" if state else one.id),
    )


def _rows(one: Alert, language: Language) -> Iterable[tuple[str, RenderableType]]:
    where, who = one.where, one.who
    if where.pod:
        yield "pod", safe(f"{where.namespace}/{where.pod} ({where.pod_uid})")
    yield "container", safe(f"{where.container or '?'} ({(where.container_id or '?')[:12]}) on {where.node}")
    if one.summary.container_count > 1:
        yield "others", _others(one)
    yield "image", safe(f"{where.image}{' ' + where.image_digest if where.image_digest else ''}")
    if who.pid is not None or who.argv or who.exe:  # a blind interval has no process
        yield "process", safe(f"pid {who.pid}, uid {who.uid}: {who.exe} {' '.join(who.argv)}")
        yield "lineage", safe(" → ".join(who.lineage))
    yield "score", _score(one, language)
    yield "why", Group(*(safe(f"{part.reason}: {part.detail}") for part in one.departures[:5]))
    usual = one.departures[0].usual if one.departures else []
    if usual:
        yield "usual", safe("; ".join(name or FIRST.in_(language) for name in usual[:4]))
    if one.explanation:
        yield "explanation", safe(one.explanation.in_(language), 2000)
    if one.techniques:
        yield "technique", safe(", ".join(one.techniques))
    yield "advice", safe(one.advice.in_(language), 1000)
    if one.action:
        yield "action", safe(one.action.title.in_(language))


def _others(one: Alert) -> Text:
    own = one.where.container_id
    listed = [where for where in one.summary.containers if where.container_id != own][:_OTHERS]
    names = [where.pod or where.container or (where.container_id or "?")[:12] for where in listed]
    more = one.summary.container_count - 1 - len(names)
    return safe(", ".join(names) + (f" … (+{more})" if more > 0 else ""))


def _score(one: Alert, language: Language) -> RenderableType:
    return Group(
        safe(f"{one.score:g} / 100"), *(_engine(name, score, language) for name, score in one.engines.items())
    )


def _engine(name: str, score: EngineScore, language: Language) -> Text:
    if score.abstained:
        return safe(f"{name}: {_WORDS['abstained'].in_(language)} ({score.note})")
    found = ", ".join(finding.id for finding in score.findings)
    return safe(f"{name}: {score.points:g} / {score.max_points:g} {found}")


def when(nanoseconds: int | None) -> str:
    """A time in UTC, to the second; a dash where there is none."""
    if not nanoseconds:
        return "–"
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def took(milliseconds: float) -> str:
    """A duration in the unit in which a person would say it, by its international sign."""
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if milliseconds >= 2 * size or (unit == "s" and milliseconds >= size):
            return f"{milliseconds / size:.1f} {unit}"
    return f"{milliseconds:.1f} ms"

# SPDX-License-Identifier: Apache-2.0
"""Shows alerts and profiles to a person. Observed text enters as `Text`, escaped, never as markup."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from habitus.alerts import Alert, Severity
from habitus.engines import EngineScore
from habitus.languages import Bilingual, Language
from habitus.profiles import ProfileDetail, ProfileSummary
from habitus.text import printable

_COLOURS: Final = {
    Severity.INFO: "dim",
    Severity.LOW: "cyan",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "bold red",
    Severity.CRITICAL: "bold white on red",
}
_WORDS: Final = {
    "pod": Bilingual(en="Pod", zh="Pod"),
    "container": Bilingual(en="Container", zh="容器"),
    "image": Bilingual(en="Image", zh="镜像"),
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


def alert(one: Alert, language: Language) -> RenderableType:
    """One alert as a panel; the title stands in both languages."""
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
        grid, title=title, title_align="left", border_style=_COLOURS[one.severity], subtitle=safe(one.id)
    )


def _rows(one: Alert, language: Language) -> Iterable[tuple[str, RenderableType]]:
    where, who = one.where, one.who
    if where.pod:
        yield "pod", safe(f"{where.namespace}/{where.pod} ({where.pod_uid})")
    yield "container", safe(f"{where.container or '?'} ({(where.container_id or '?')[:12]}) on {where.node}")
    yield "image", safe(f"{where.image}{' ' + where.image_digest if where.image_digest else ''}")
    if who.pid is not None or who.argv or who.exe:  # a blind interval has no process
        yield "process", safe(f"pid {who.pid}, uid {who.uid}: {who.exe} {' '.join(who.argv)}")
        yield "lineage", safe(" → ".join(who.lineage))
    yield "score", _score(one, language)
    yield "why", Group(*(safe(f"{part.reason}: {part.detail}") for part in one.departures[:5]))
    usual = one.departures[0].usual if one.departures else []
    if usual:
        yield "usual", safe("; ".join(usual[:4]))
    if one.explanation:
        yield "explanation", safe(one.explanation.in_(language), 2000)
    if one.techniques:
        yield "technique", safe(", ".join(one.techniques))
    yield "advice", safe(one.advice.in_(language), 1000)
    if one.action:
        yield "action", safe(one.action.title.in_(language))


def _score(one: Alert, language: Language) -> RenderableType:
    return Group(
        safe(f"{one.score:g} / 100"), *(_engine(name, score, language) for name, score in one.engines.items())
    )


def _engine(name: str, score: EngineScore, language: Language) -> Text:
    if score.abstained:
        return safe(f"{name}: {_WORDS['abstained'].in_(language)} ({score.note})")
    found = ", ".join(finding.id for finding in score.findings)
    return safe(f"{name}: {score.points:g} / {score.max_points:g} {found}")


def summaries(items: Iterable[ProfileSummary]) -> RenderableType:
    """Profiles at a glance, a row each."""
    table = Table()
    table.add_column("image", overflow="fold", min_width=16)
    for title in ("state", "rev", "events", "nodes", "vectors", "unseen", "KiB"):
        table.add_column(title, no_wrap=True)
    for one in items:
        table.add_row(
            safe(one.image_key),
            one.state,
            str(one.revision),
            str(one.convergence.events),
            str(sum(one.nodes.values())),
            str(one.vectors),
            f"{one.convergence.unseen:.1%}",
            f"{one.bytes / 1024:.1f}",
        )
    return table


def profile(one: ProfileDetail) -> RenderableType:
    """One profile: how it converged, then its tries."""
    now = one.summary.convergence
    facts = safe(
        f"{now.window_new} new in the last {now.window_events} events of {now.window_s:g} s"
        f" (at most {now.epsilon} to converge, after {now.min_events} events);"
        f" chance that the next event is new: {now.unseen:.2%}; losses in the window: {now.losses}"
    )
    seen = safe(f"first event {when(one.summary.first_event)}, last {when(one.summary.last_event)}")
    parts: list[RenderableType] = [summaries([one.summary]), seen, facts, *_curve(now.curve)]
    for name in ("process", "file", "network"):
        trie = getattr(one.tries, name)
        if trie:
            tree = Tree(Text(name, style="bold"))
            _grow(tree, trie)
            parts.append(tree)
    return Group(*parts)


def _curve(points: list[tuple[float, int]], height: str = "▁▂▃▄▅▆▇█") -> Iterable[Text]:
    if len(points) > 1 and points[-1][1]:
        top = max(count for _, count in points)
        bars = "".join(height[min(len(height) - 1, count * len(height) // (top + 1))] for _, count in points)
        yield Text(f"new behaviour until {points[-1][0]:.1f} s after the first event: {bars} {points[-1][1]}")


def _grow(tree: Tree, trie: dict[str, Any]) -> None:
    for name, below in trie.items():
        branch = tree.add(safe(name or "(first process)", 200))
        if isinstance(below, dict):
            _grow(branch, below)
        elif isinstance(below, list):
            for leaf in below:
                branch.add(safe(leaf, 200))
        else:
            branch.add(safe(below, 200))


def when(nanoseconds: int | None) -> str:
    """A time in UTC, to the second; a dash where there is none."""
    if not nanoseconds:
        return "–"
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")

# SPDX-License-Identifier: Apache-2.0
"""Shows profiles to a person: how they learn, what they know, and what people and rules said of them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from habitus.languages import Bilingual, Language
from habitus.profiles import Blocker, Convergence, ProfileDetail, ProfileDiff, ProfileNotes, ProfileSummary
from habitus_console.listing import Listing
from habitus_console.render import FIRST, safe, when

_WIDTH: Final = 60
_BARS: Final = "▁▂▃▄▅▆▇█"
_COLUMNS: Final = (
    Bilingual(en="image", zh="镜像"),
    Bilingual(en="state", zh="状态"),
    Bilingual(en="rev", zh="版本"),
    Bilingual(en="events", zh="事件"),
    Bilingual(en="nodes", zh="节点"),
    Bilingual(en="vectors", zh="向量"),
    Bilingual(en="unseen", zh="未见概率"),
    Bilingual(en="KiB", zh="KiB"),
)
_BLOCKERS: Final[dict[Blocker, Bilingual]] = {
    "events": Bilingual(en="{events} of {min_events} events", zh="事件 {events}/{min_events}"),
    "window": Bilingual(
        en="{seconds:.0f} s of its time, less than a window of {window_s:g} s",
        zh="已学习 {seconds:.0f} 秒, 不足一个窗口 ({window_s:g} 秒)",
    ),
    "news": Bilingual(
        en="{window_new} new in the window, more than {epsilon}",
        zh="窗口内新行为 {window_new} 个, 超过 {epsilon}",
    ),
    "losses": Bilingual(en="{losses} events lost in the window", zh="窗口内丢失事件 {losses} 个"),
    "forecast": Bilingual(
        en="the forecast of alerts is above {max_alerts:g} a day", zh="预计每天告警超过 {max_alerts:g} 条"
    ),
    "vectors": Bilingual(en="vectors are still asked for", zh="仍在等待向量"),
    "rules": Bilingual(en="the rules have not looked at all of it yet", zh="规则尚未检查完毕"),
}
_LEARNED: Final = Bilingual(en="learned by evidence", zh="证据充分, 已学完")
_IN_THE_WAY: Final = Bilingual(en="still in the way: ", zh="尚未满足: ")
_ALL_THE_SAME: Final = Bilingual(
    en="it judges, though the evidence alone would not yet end learning: ",
    zh="已在检测, 但仅凭证据尚未学完: ",
)
_FIGURES: Final = Bilingual(
    en="{window_new} new in the last {window_events} events of {window_s:g} s (at most {epsilon}); "
    "lost in the window: {losses}",
    zh="最近 {window_s:g} 秒 {window_events} 个事件中新行为 {window_new} 个 (至多 {epsilon}); "
    "窗口内丢失 {losses}",
)
_UNSEEN: Final = Bilingual(
    en="chance that the next event is new: {unseen:.2%}, at most {unseen_at_most:.1%} (95 %)",
    zh="下一个事件为新行为的概率: {unseen:.2%}, 至多 {unseen_at_most:.1%} (95 %)",
)
_FORECAST: Final = Bilingual(
    en="forecast of alerts a day: {alerts_a_day:.1f}, at most {at_most:.1f} (95 %), from {alarms} in "
    "{seconds:.0f} s held out",
    zh="预计每天告警: {alerts_a_day:.1f}, 至多 {at_most:.1f} (95 %), "
    "依据留出的 {seconds:.0f} 秒中的 {alarms} 次",
)
_NO_FORECAST: Final = Bilingual(
    en="no forecast of alerts before a whole window is learned", zh="学满一个窗口之前不预计告警"
)
_CURVE: Final = Bilingual(
    en="new behaviour over {seconds:.0f} s: {bars} {total}", zh="{seconds:.0f} 秒内的新行为: {bars} {total}"
)
_SPAN: Final = Bilingual(en="first event {first}, last {last}", zh="首个事件 {first}, 最近 {last}")
_FROM: Final = Bilingual(en="began from the profile of {0}", zh="从 {0} 的画像开始")
_HELD: Final = Bilingual(
    en="{0} behaviours wait for rules or for more containers", zh="{0} 个行为等待规则检查或更多容器"
)
_WATCHED: Final = Bilingual(
    en="{0} behaviours are scored low; slow tuning watches whether all replicas show them",
    zh="{0} 个行为评分较低, 慢速调优正在观察各副本是否都会出现",
)
_TUNED: Final = Bilingual(
    en="{id}: taken in by slow tuning, {when}: {why} ({count} habits)",
    zh="{id}: 慢速调优于 {when} 纳入画像: {why} ({count} 个行为)",
)
_MARKED: Final = Bilingual(
    en="{id}: called benign by {who}, {when}: {why} ({count} habits, alert {alert})",
    zh="{id}: {who} 于 {when} 标记为正常: {why} ({count} 个行为, 告警 {alert})",
)
_UNDONE: Final = Bilingual(en="; undone by {who}, {when}", zh="; 已由 {who} 于 {when} 撤销")
_REFUSED: Final = Bilingual(
    en="not learned: rule {rule} hit {habit}, {when}", zh="未学习: 规则 {rule} 于 {when} 命中 {habit}"
)
_CHANGED: Final = Bilingual(en="{what} by {who}, {when}", zh="{who} 于 {when}: {what}")
_WHAT: Final = {
    "absorb": Bilingual(en="alert called benign", zh="将告警标为正常"),
    "undo": Bilingual(en="mark undone", zh="撤销标记"),
    "lock": Bilingual(en="locked", zh="锁定"),
    "unlock": Bilingual(en="unlocked", zh="解锁"),
    "detect": Bilingual(en="learning ended", zh="结束学习"),
    "relearn": Bilingual(en="learning begun again", zh="重新学习"),
    "import": Bilingual(en="imported", zh="导入"),
}
_KEPT_OUT: Final = Bilingual(en="; kept out by rules: {0}", zh="; 被规则拒绝学习: {0}")
_SAME: Final = Bilingual(en="no difference", zh="没有差异")
_MORE: Final = Bilingual(en="… and {0} more", zh="… 另有 {0} 项")


def summaries(items: Iterable[ProfileSummary], language: Language = "en") -> RenderableType:
    """Profiles at a glance, a row each."""
    rows = (
        (
            one.image_key,
            one.state,
            one.revision,
            one.convergence.events,
            sum(one.nodes.values()),
            one.vectors,
            f"{one.convergence.unseen:.1%}",
            f"{one.bytes / 1024:.1f}",
        )
        for one in items
    )
    titles = [title.in_(language) for title in _COLUMNS]
    return Listing(titles, ([safe(cell) for cell in row] for row in rows), least=16)


def profile(one: ProfileDetail, language: Language = "en") -> RenderableType:
    """One profile: how it converges, what was said of it, then its tries."""
    summary = one.summary
    span = {"first": when(summary.first_event), "last": when(summary.last_event)}
    parts: list[RenderableType] = [summaries([summary], language), safe(_SPAN.in_(language).format(**span))]
    parts += convergence(summary.convergence, language, judging=summary.state in {"detect", "locked"})
    parts += _notes(summary.notes, language)
    for name in ("process", "file", "network"):
        trie = getattr(one.tries, name)
        if trie:
            tree = Tree(Text(name, style="bold"))
            _grow(tree, trie, language)
            parts.append(tree)
    return Group(*parts)


def learned(items: Iterable[ProfileSummary], language: Language) -> Iterator[Text]:
    """How each profile stands after learning: its curve, its odds, what is in the way."""
    for one in items:
        now = one.convergence
        figures = {"seconds": now.seconds, "total": now.curve[-1][1] if now.curve else 0}
        bars = sparkline(now.curve) if now.curve else ""
        yield safe(f"{one.image_key}: {_CURVE.in_(language).format(bars=bars, **figures)}")
        refused = len(one.notes.refused)
        kept_out = _KEPT_OUT.in_(language).format(refused) if refused else ""
        yield safe(f"  {_UNSEEN.in_(language).format(**now.model_dump())}")
        yield safe(f"  {blockers(now, language)}{kept_out}")


def convergence(now: Convergence, language: Language, *, judging: bool = False) -> Iterator[Text]:
    """How near a profile is to being learned: the evidence, what is in the way, and the curve."""
    figures = now.model_dump()
    yield safe(_FIGURES.in_(language).format(**figures))
    yield safe(_UNSEEN.in_(language).format(**figures))
    forecast = now.forecast
    yield safe(
        _FORECAST.in_(language).format(**forecast.model_dump()) if forecast else _NO_FORECAST.in_(language)
    )
    yield safe(blockers(now, language, judging=judging))
    if now.curve:
        total = now.curve[-1][1]
        yield safe(_CURVE.in_(language).format(seconds=now.seconds, bars=sparkline(now.curve), total=total))


def blockers(now: Convergence, language: Language, *, judging: bool = False) -> str:
    """Say in one line what is in the way of judging, or that nothing is; `judging`: it ended all the same."""
    if not now.blockers:
        return _LEARNED.in_(language)
    figures = now.model_dump()
    told = (_BLOCKERS[blocker].in_(language).format(**figures) for blocker in now.blockers)
    return (_ALL_THE_SAME if judging else _IN_THE_WAY).in_(language) + "; ".join(told)


def sparkline(points: list[tuple[float, int]], width: int = _WIDTH) -> str:
    """Draw (seconds, count) as bars of equal time; a flat end means that nothing new comes."""
    last, top = points[-1][0], max(1, *(count for _, count in points))
    bars, at, count = "", 0, 0
    for column in range(1, width + 1):
        while at < len(points) and points[at][0] <= last * column / width:
            count, at = points[at][1], at + 1
        bars += _BARS[count * (len(_BARS) - 1) // top]
    return bars


def _notes(notes: ProfileNotes, language: Language) -> Iterator[Text]:
    if notes.predecessor:
        yield safe(_FROM.in_(language).format(notes.predecessor))
    if notes.held:
        yield safe(_HELD.in_(language).format(notes.held))
    if notes.watched:
        yield safe(_WATCHED.in_(language).format(notes.watched))
    for mark in notes.marks:
        fields = mark.model_dump() | {"when": when(mark.when), "count": len(mark.habits)}
        undone = _UNDONE.in_(language).format(who=mark.undone_by, when=when(mark.undone_when))
        told = _TUNED if mark.who == "tuning" and not mark.alert else _MARKED
        yield safe(told.in_(language).format(**fields) + (undone if mark.undone_when else ""))
    for refusal in notes.refused:
        fields = {"rule": refusal.rule, "when": when(refusal.when), "habit": _habit(refusal.habit)}
        yield safe(_REFUSED.in_(language).format(**fields))
    for change in notes.changes:
        what = _WHAT[change.what].in_(language) if change.what in _WHAT else change.what
        line = _CHANGED.in_(language).format(what=what, who=change.who, when=when(change.when))
        yield safe(f"{line}: {change.why}" if change.why else line)


def _habit(key: str) -> str:
    return " → ".join(map(str, json.loads(key)))


def difference(diff: ProfileDiff, language: Language) -> Iterator[Text]:
    """What one profile has beyond another: `+` and `-`, in colours where the terminal has them."""
    for sign, style, entries in (("-", "red", diff.removed), ("+", "green", diff.added)):
        for entry in entries:
            line = safe(f"{sign} {entry}", 1000)
            line.stylize(style)
            yield line
    if diff.more:
        yield Text(_MORE.in_(language).format(diff.more))
    if not diff.added and not diff.removed:
        yield Text(_SAME.in_(language))


def _grow(tree: Tree, trie: dict[str, Any], language: Language) -> None:
    for name, below in trie.items():
        branch = tree.add(safe(name or FIRST.in_(language), 200))
        if isinstance(below, dict):
            _grow(branch, below, language)
        elif isinstance(below, list):
            for leaf in below:
                branch.add(safe(leaf, 200))
        else:
            branch.add(safe(below, 200))

# SPDX-License-Identifier: Apache-2.0
"""`habitus targets`: which containers are watched, changed while the collectors run."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import RenderableType

from habitus.bus import Bus
from habitus.languages import Bilingual, Language
from habitus.targets import ALL, KEYS, TargetFault, Targets
from habitus_console import nodes, terminal
from habitus_console.listing import Listing
from habitus_console.options import AsJson, Lang, SettingsFile
from habitus_console.render import safe
from habitus_console.target_sets import TargetSets, key_of
from habitus_console.terminal import err, out

app = typer.Typer(help="Say which containers are watched: 选择监视哪些容器.", no_args_is_help=True)

Node = Annotated[str | None, typer.Option("--node", help="Of this node alone; left out: of all nodes.")]

_SET_LIMIT: Final = 1 << 20
_COLUMNS: Final = {
    "key": Bilingual(en="nodes", zh="节点"),
    "namespace": Bilingual(en="namespace", zh="命名空间"),
    "label": Bilingual(en="label", zh="标签"),
    "image": Bilingual(en="image", zh="镜像"),
    "container": Bilingual(en="container", zh="容器"),
}
_NONE: Final = Bilingual(
    en="no target set: each collector goes by its settings (collector.targets; empty: every container)",
    zh="没有目标集: 各采集器按自己的设置 (collector.targets; 为空则监视全部容器)",
)
_EVERYTHING: Final = Bilingual(en="every container", zh="全部容器")
_NOW: Final = Bilingual(en="now watched on {where}: {what}", zh="{where} 现在监视: {what}")
_COUNT: Final = Bilingual(
    en="containers that meet any of its entries ({count})", zh="满足 {count} 条中任意一条的容器"
)
_CLEARED: Final = Bilingual(
    en="no target set of {where} any more: what is left of TARGETS or the settings holds",
    zh="{where} 的目标集已清除: 按其余目标集或设置执行",
)
_ALL_NODES: Final = Bilingual(en="all nodes", zh="所有节点")
_UNHEARD: Final = Bilingual(
    en="no collector of node {node} has reported to this broker yet: it will follow the set when it does",
    zh="节点 {node} 的采集器尚未向此代理报告: 上线后即按此目标集执行",
)


@app.command("show")
def show(
    node: Node = None, lang: Lang = None, settings_file: SettingsFile = None, *, as_json: AsJson = False
) -> None:
    """Show the target sets: of all nodes, and those that a node has of its own. 显示目标集."""
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)

    async def work(bus: Bus) -> None:
        found = await TargetSets(bus).all()
        if node is not None:
            own = [key for key in (key_of(node), ALL) if key in found][:1]
            found = {key: found[key] for key in own}
        if as_json:
            shown = {key: targets.entries for key, targets in found.items()}
            terminal.document(shown)
        elif found:
            out.print(_table(found, language))
        else:
            out.print(_NONE.in_(language))

    terminal.with_bus(loaded, work)


@app.command("set")
def replace(
    file: Annotated[Path, typer.Argument(help='JSON such as [{"namespace": "shop"}]; `-`: standard input.')],
    node: Node = None,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Replace a target set by that of a file; an empty list watches every container. 用文件替换目标集.

    A list of entries; a container is watched when it meets all keys of any one of them. The keys are
    namespace, label (`key` or `key=value`), image and container, each a pattern with * ? and […].
    """
    loaded = terminal.load(settings_file)
    targets = _read(file)

    async def work(bus: Bus) -> None:
        await TargetSets(bus).put(key_of(node), targets)
        await _said(bus, node, targets, terminal.language(lang, loaded), as_json=as_json)

    terminal.with_bus(loaded, work)


@app.command("add")
def add(
    *,
    namespace: Annotated[str | None, typer.Option(help="Pattern for the Pod's namespace.")] = None,
    label: Annotated[str | None, typer.Option(help="`key` or `key=value`, patterns both.")] = None,
    image: Annotated[str | None, typer.Option(help="Pattern for the image, e.g. 'webapp:*'.")] = None,
    container: Annotated[str | None, typer.Option(help="Pattern for the container's name or id.")] = None,
    node: Node = None,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Watch also the containers that meet all of these patterns. 增加一条: 满足全部模式的容器也被监视."""
    loaded = terminal.load(settings_file)
    given = dict(zip(KEYS, (namespace, label, image, container), strict=True))
    entry = {key: pattern for key, pattern in given.items() if pattern is not None}
    try:
        Targets([entry])
    except TargetFault as fault:
        options = ", ".join(f"--{key}" for key in KEYS)
        terminal.fail(f"{fault}; give at least one of {options}", terminal.EXIT_USAGE)

    async def work(bus: Bus) -> None:
        targets = await TargetSets(bus).add(key_of(node), entry)
        await _said(bus, node, targets, terminal.language(lang, loaded), as_json=as_json)

    terminal.with_bus(loaded, work)


@app.command("clear")
def clear(
    node: Node = None, lang: Lang = None, settings_file: SettingsFile = None, *, as_json: AsJson = False
) -> None:
    """Remove a target set: the settings hold again. 清除目标集."""
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)

    async def work(bus: Bus) -> None:
        await TargetSets(bus).clear(key_of(node))
        if as_json:
            terminal.document({"key": key_of(node), "targets": None})
        else:
            out.print(safe(_CLEARED.in_(language).format(where=_where(node, language))))

    terminal.with_bus(loaded, work)


def _read(file: Path) -> Targets:
    try:
        if str(file) == "-":
            text = sys.stdin.buffer.read(_SET_LIMIT + 1)
        else:
            with file.open("rb") as opened:
                text = opened.read(_SET_LIMIT + 1)
        if len(text) > _SET_LIMIT:
            terminal.fail(f"{file}: more than {_SET_LIMIT >> 20} MiB", terminal.EXIT_USAGE)
        return Targets.read(text)
    except OSError as error:
        terminal.fail(f"{file}: {error.strerror}", terminal.EXIT_USAGE)
    except TargetFault as fault:
        terminal.fail(f"{file}: {fault}", terminal.EXIT_USAGE)


async def _said(bus: Bus, node: str | None, targets: Targets, language: Language, *, as_json: bool) -> None:
    if as_json:
        terminal.document({"key": key_of(node), "targets": targets.entries})
    else:
        count = _COUNT.in_(language).format(count=len(targets.entries))
        what = count if targets.entries else _EVERYTHING.in_(language)
        out.print(safe(_NOW.in_(language).format(where=_where(node, language), what=what)))
    if node is not None and node not in {status.node for status in await nodes.statuses(bus)}:
        err.print(safe(_UNHEARD.in_(language).format(node=node)))


def _where(node: str | None, language: Language) -> str:
    return _ALL_NODES.in_(language) if node is None else node


def _table(found: dict[str, Targets], language: Language) -> RenderableType:
    rows = []
    for key, targets in found.items():
        name = _ALL_NODES.in_(language) if key == ALL else key
        rows += [[safe(name), *(safe(entry.get(key, "")) for key in KEYS)] for entry in targets.entries]
        if not targets.entries:
            rows.append([safe(name), *[safe(_EVERYTHING.in_(language))] * len(KEYS)])
    return Listing([title.in_(language) for title in _COLUMNS.values()], rows)

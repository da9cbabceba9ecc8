# SPDX-License-Identifier: Apache-2.0
"""`habitus profile`: look at what is learned, end or begin learning, call alerts benign, compare."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, NamedTuple

import typer

from habitus.bus import Bus
from habitus.languages import Bilingual, Language
from habitus.profiles import ProfileReply
from habitus_console import feedback, profile_view, profiles, results, terminal
from habitus_console.options import AsJson, Image, ImageBegun, Lang, SettingsFile, Who, Why
from habitus_console.profiles import ProfilesFault
from habitus_console.render import safe
from habitus_console.terminal import out

app = typer.Typer(
    help="Look at what has been learned of each image, and change it. 查看并管理各镜像的行为画像.",
    no_args_is_help=True,
)

_NONE: Final = Bilingual(en="no profiles yet", zh="尚无画像")
_DONE: Final = {
    "detect": Bilingual(en="{0} judges from now on", zh="{0} 现在开始检测"),
    "relearn": Bilingual(en="{0} learns again, beside what it knows", zh="{0} 重新学习, 已知行为保留"),
    "lock": Bilingual(en="{0} is locked: nothing changes it", zh="{0} 已锁定, 不再变化"),
    "unlock": Bilingual(en="{0} is no longer locked", zh="{0} 已解锁"),
    "forget": Bilingual(en="{0} is forgotten: it is learned anew", zh="{0} 已删除, 将从头学习"),
    "absorb": Bilingual(
        en="{0} takes alert {1} for benign: mark {2}", zh="{0} 已将告警 {1} 视为正常: 标记 {2}"
    ),
    "undo": Bilingual(en="mark {2} of {0} is undone", zh="{0} 的标记 {2} 已撤销"),
}


class _Said(NamedTuple):
    """What every change has: by whom, why, and how to speak of it."""

    who: str
    why: str
    lang: str | None
    settings_file: SettingsFile
    as_json: bool


@app.command("list")
def list_(lang: Lang = None, settings_file: SettingsFile = None, *, as_json: AsJson = False) -> None:
    """List every profile with its state and how near it is to being learned. 列出所有画像."""

    async def show(bus: Bus, language: Language) -> None:
        found = await profiles.summaries(bus)
        if as_json:
            terminal.document([one.model_dump() for one in found])
        elif found:
            out.print(profile_view.summaries(found, language))
        else:
            out.print(_NONE.in_(language))

    _run(show, lang, settings_file)


@app.command()
def show(
    image: ImageBegun, lang: Lang = None, settings_file: SettingsFile = None, *, as_json: AsJson = False
) -> None:
    """Show one profile: the evidence that it is learned, what was said of it, what it knows. 查看一个画像."""

    async def work(bus: Bus, language: Language) -> None:
        one = await profiles.detail(bus, await profiles.named(bus, image))
        terminal.show(one.model_dump_json(), lambda: profile_view.profile(one, language), as_json=as_json)

    _run(work, lang, settings_file)


@app.command()
def diff(
    a: Annotated[str, typer.Argument(help="An image key, or how it begins.")],
    b: Annotated[str | None, typer.Argument(help="Another; left out: A with what it started from.")] = None,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print what B has beyond A (+), and what it lacks (-): what a new digest learned. 比较两个画像."""

    async def work(bus: Bus, language: Language) -> None:
        first, second = await profiles.named(bus, a), b and await profiles.named(bus, b)
        after, before = (second, first) if second else (first, "")
        reply = await profiles.change(bus, "diff", after, other=before)
        if reply.diff is None:
            raise ProfilesFault(f"no comparison of {after}")
        if as_json:
            terminal.document(reply.diff)
        else:
            for line in profile_view.difference(reply.diff, language):
                out.print(line)

    _run(work, lang, settings_file)


@app.command()
def detect(
    image: Image,
    who: Who,
    why: Why = "",
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also where the evidence does not suffice.")] = False,
    as_json: AsJson = False,
) -> None:
    """End learning: the profile judges from now on. Refused, with the reason, without evidence. 结束学习."""
    _change("detect", image, _Said(who, why, lang, settings_file, as_json), force=force)


_PLAIN: Final = {
    "relearn": "Learn again, beside what is known: after a change that was meant. 重新学习.",
    "lock": "Lock a profile: it judges, and nothing changes it until `unlock`. 锁定.",
    "unlock": "Unlock a profile. 解锁.",
    "forget": "Forget a profile with all that was said of it; the image is learned anew. 删除画像.",
}
"""Commands that need no more than the image, who says it and why → what they do."""


def _add_plain(operation: str, about: str) -> None:
    @app.command(operation, help=about)
    def command(
        image: Image,
        who: Who,
        why: Why = "",
        lang: Lang = None,
        settings_file: SettingsFile = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        _change(operation, image, _Said(who, why, lang, settings_file, as_json))


for _operation, _about in _PLAIN.items():
    _add_plain(_operation, _about)


@app.command()
def benign(
    alert: Annotated[str, typer.Argument(help="The alert's id, as `habitus alerts` shows it.")],
    who: Who,
    why: Why = "",
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Call an alert benign: its behaviours are known from now on, until `undo`. 将告警标记为正常."""

    async def work(bus: Bus, language: Language) -> None:
        found = next((one for one in await results.alerts(bus) if one.id == alert), None)
        if found is None:
            raise ProfilesFault(f"no alert {alert}; see `habitus alerts`")
        reply = await feedback.absorb(bus, found, who, why)
        _tell("absorb", feedback.image_of(found), reply, language, alert=alert, as_json=as_json)

    _run(work, lang, settings_file)


@app.command()
def undo(
    image: Image,
    mark: Annotated[str, typer.Argument(help="The mark, as `profile show` names it, e.g. f1.")],
    *,
    who: Who,
    why: Why = "",
    lang: Lang = None,
    settings_file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a mark back: what it called benign is an anomaly again. 撤销标记."""
    _change("undo", image, _Said(who, why, lang, settings_file, as_json), mark=mark)


def _change(operation: str, image: str, said: _Said, *, force: bool = False, mark: str = "") -> None:
    async def work(bus: Bus, language: Language) -> None:
        fields = {"who": said.who, "why": said.why, "force": force, "mark": mark}
        reply = await profiles.change(bus, operation, image, **fields)
        _tell(operation, image, reply, language, as_json=said.as_json)

    _run(work, said.lang, said.settings_file)


def _tell(
    operation: str, image: str, reply: ProfileReply, language: Language, *, as_json: bool, alert: str = ""
) -> None:
    mark = reply.mark.id if reply.mark else ""
    if as_json:
        said = {"operation": operation, "image_key": image, "mark": reply.mark and reply.mark.model_dump()}
        state = reply.summaries[0].state if reply.summaries and operation != "forget" else None
        terminal.document(said | {"state": state})
    else:
        out.print(safe(_DONE[operation].in_(language).format(image, alert, mark)))


def _run(
    work: Callable[[Bus, Language], Awaitable[None]], lang: str | None, settings_file: SettingsFile
) -> None:
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)
    terminal.with_bus(loaded, lambda bus: work(bus, language))

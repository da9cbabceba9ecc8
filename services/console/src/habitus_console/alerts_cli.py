# SPDX-License-Identifier: Apache-2.0
"""`habitus alerts`: the options of its commands; it asks the alert store over HTTP."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from habitus.alerts import Severity
from habitus.languages import Bilingual
from habitus_console import alert_listing, alert_view, terminal
from habitus_console.options import AsJson, Lang, SettingsFile, Who, Why
from habitus_console.render import safe
from habitus_console.store.states import Act, Status
from habitus_console.terminal import out

app = typer.Typer(invoke_without_command=True)

Id = Annotated[str, typer.Argument(help="The alert's id, or how it begins where that is one alert's alone.")]


def _given(why: str) -> str:
    if not why.strip():
        raise typer.BadParameter("a reason is needed")
    return why


Reason = Annotated[str, typer.Option("--why", callback=_given, help="The reason; kept with it.")]
_Pattern = Annotated[str | None, typer.Option(help="Pattern with *.")]

_DONE: Final = {
    Act.ACKNOWLEDGE: Bilingual(en="{0} is acknowledged", zh="{0} 已确认"),
    Act.BENIGN: Bilingual(
        en="{0} is benign: its behaviours are known from now on", zh="{0} 已标为正常, 其行为即日起视为已知"
    ),
    Act.REOPEN: Bilingual(
        en="{0} is open; the profile keeps no mark of it", zh="{0} 已重新打开, 画像中不再有它的标记"
    ),
}
_ALREADY: Final = Bilingual(en="{0} is {1} already: nothing was changed", zh="{0} 的状态已是“{1}”, 未作更改")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PAGE: Final = 200


@app.callback()
def alerts(
    context: typer.Context,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on and show new ones.")] = False,
    last: Annotated[int, typer.Option(min=1, max=_PAGE, help="Show at most this many.")] = 20,
    status: Annotated[list[Status] | None, typer.Option(help="In this state; repeatable.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="At least this.")] = None,
    since: Annotated[
        str | None, typer.Option(help="30m, 12h or 7d ago, or a time: 2026-11-25T08:00.")
    ] = None,
    namespace: _Pattern = None,
    pod: _Pattern = None,
    image: _Pattern = None,
    technique: Annotated[str | None, typer.Option(help="ATT&CK technique, e.g. T1496 or 'T1059*'.")] = None,
    rule: Annotated[str | None, typer.Option(help="Id of a rule that speaks; pattern with *.")] = None,
    title: Annotated[str | None, typer.Option(help="Words in the title.")] = None,
    brief: Annotated[bool, typer.Option("--brief", "-b", help="A line for each.")] = False,
    as_json: AsJson = False,
    lang: Lang = None,
    settings_file: SettingsFile = None,
) -> None:
    """Show the alerts that were raised, oldest first, and decide of them. 查看并处理告警.

    An alert is open until somebody acknowledges it (`ack`) or calls it benign (`benign`: the profile knows
    its behaviours from then on); `reopen` takes either back. Where no alert store runs, plain `habitus
    alerts` reads the broker's stream; states and filters need the store, which `habitus up` starts.
    """
    if context.invoked_subcommand is not None:
        _refuse_misplaced(context)
        return
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)
    wanted: dict[str, Any] = {
        "status": [str(one) for one in status or []],
        "severity": severity and str(severity),
        "since": since and _moment(since),
        "namespace": namespace, "pod": pod, "image": image,
        "technique": technique, "rule": rule, "title": title,
    }  # fmt: skip
    shown = alert_listing.Shown(language, brief=brief, as_json=as_json)
    terminal.run(alert_listing.show(loaded, wanted, shown, last=last, follow=follow))


@app.command("show")
def show(
    alert: Id, lang: Lang = None, settings_file: SettingsFile = None, *, as_json: AsJson = False
) -> None:
    """Show one alert, whole, with who did what, when and why. 查看一条告警及其历史."""
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)

    async def work() -> None:
        client = alert_listing.client(loaded)
        record = client.one(client.id_of(alert))
        terminal.show(record.model_dump_json(), lambda: alert_view.whole(record, language), as_json=as_json)

    terminal.run(work())


@app.command("ack")
def acknowledge(
    alert: Id,
    who: Who,
    why: Why = "",
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say that you look after it; it opens again by itself when it grows in severity. 确认告警."""
    _decide(alert, Act.ACKNOWLEDGE, (who, why), lang, settings_file, as_json=as_json)


@app.command("benign")
def benign(
    alert: Id,
    who: Who,
    why: Reason,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Call it benign: the profile of its image knows its behaviours from now on. 将告警标为正常."""
    _decide(alert, Act.BENIGN, (who, why), lang, settings_file, as_json=as_json)


@app.command("reopen")
def reopen(
    alert: Id,
    who: Who,
    why: Reason,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Open it again; what `benign` taught the profile is taken back. 重新打开告警."""
    _decide(alert, Act.REOPEN, (who, why), lang, settings_file, as_json=as_json)


def _decide(
    alert: str,
    act: Act,
    said: tuple[str, str],
    lang: str | None,
    settings_file: SettingsFile,
    *,
    as_json: bool,
) -> None:
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)

    async def work() -> None:
        client = alert_listing.client(loaded)
        before = client.one(client.id_of(alert))
        record = client.decide(before.id, act, *said)
        if as_json:
            terminal.show(record.model_dump_json(), str, as_json=True)
        elif record.version == before.version:
            state = alert_view.STATUS[record.status].in_(language)
            out.print(safe(_ALREADY.in_(language).format(record.id, state)))
        else:
            out.print(safe(_DONE[act].in_(language).format(record.id)))

    terminal.run(work())


def _refuse_misplaced(context: typer.Context) -> None:
    """An option before the subcommand would be lost in silence."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            option, subcommand = parameter.opts[0], context.invoked_subcommand
            terminal.fail(f"{option} stands before `{subcommand}`: put it behind", terminal.EXIT_USAGE)


def _moment(text: str) -> str:
    ago = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    try:
        if ago:
            return (datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])).isoformat()
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        terminal.fail(f"--since {text}: neither like 30m, 12h, 7d nor a time", terminal.EXIT_USAGE)

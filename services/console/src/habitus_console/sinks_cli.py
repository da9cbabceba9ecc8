# SPDX-License-Identifier: Apache-2.0
"""`habitus sinks`: where alerts go, a test of one sink, and the alerts that a sink did not take."""

import json
from typing import Annotated, Any, Final

import typer

from habitus.bus import Bus
from habitus.languages import Bilingual, Language
from habitus.sinks import SinkRequest
from habitus_console import terminal
from habitus_console.dead_letters import DeadLetter, SinksFault, ask, dead_letters
from habitus_console.listing import Listing
from habitus_console.options import AsJson, Lang, SettingsFile
from habitus_console.render import safe, when
from habitus_console.terminal import err, out

app = typer.Typer(help="Where alerts go: 查看与测试告警出口.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A name of the setting scorer.sinks.")]

_STATE: Final = {
    "name": Bilingual(en="sink", zh="出口"),
    "kind": Bilingual(en="kind", zh="类型"),
    "waiting": Bilingual(en="waiting", zh="等待"),
    "dead": Bilingual(en="not taken", zh="未送达"),
}
_LETTERS: Final = {
    "number": Bilingual(en="number", zh="编号"),
    "sink": Bilingual(en="sink", zh="出口"),
    "when": Bilingual(en="given up", zh="放弃时间"),
    "alert": Bilingual(en="alert", zh="告警"),
    "why": Bilingual(en="why", zh="原因"),
}
_NO_SINKS: Final = Bilingual(
    en="no sinks: name some in the setting scorer.sinks", zh="没有出口: 请在设置 scorer.sinks 中列出"
)
_NO_LETTERS: Final = Bilingual(en="no dead letters", zh="没有未送达的告警")
_UNREADABLE: Final = Bilingual(en="(of another version)", zh="(其他版本)")
_TAKEN: Final = Bilingual(en="sink {name} took the sample alert", zh="出口 {name} 已收下示例告警")
_SENT: Final = Bilingual(
    en="sink {name}: {done} taken, {left} not", zh="出口 {name}: 送达 {done}, 未送达 {left}"
)


@app.command("list")
def show(lang: Lang = None, settings_file: SettingsFile = None, *, as_json: AsJson = False) -> None:
    """Show the sinks of the running scorer: what waits, what was not taken. 列出出口."""
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)

    async def work(bus: Bus) -> None:
        states = (await ask(bus, SinkRequest(op="list"))).sinks
        if as_json:
            terminal.document([state.model_dump() for state in states])
        elif states:
            rows = ([safe(getattr(state, column)) for column in _STATE] for state in states)
            out.print(Listing([title.in_(language) for title in _STATE.values()], rows))
        else:
            out.print(_NO_SINKS.in_(language))

    terminal.with_bus(loaded, work)


@app.command("test")
def try_out(
    name: Name, lang: Lang = None, settings_file: SettingsFile = None, *, as_json: AsJson = False
) -> None:
    """Let the running scorer send a sample alert to one sink. 发送示例告警.

    Exit code 0 when the sink took it, else 1 with what it said.
    """
    loaded = terminal.load(settings_file)

    async def work(bus: Bus) -> None:
        await ask(bus, SinkRequest(op="test", sink=name))
        said = _TAKEN.in_(terminal.language(lang, loaded)).format(name=name)
        _say(said, {"sink": name, "taken": True}, as_json=as_json)

    terminal.with_bus(loaded, work)


@app.command("dead")
def dead(
    name: Annotated[str | None, typer.Argument(help="Of one sink; left out: of all.")] = None,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the alerts that a sink did not take, with the reason. 列出未送达的告警."""
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)

    async def work(bus: Bus) -> None:
        letters = await _letters(bus, name)
        if as_json:
            for letter in letters:
                terminal.show(json.dumps(_record(letter), ensure_ascii=False), str, as_json=True)
        elif letters:
            out.print(_table(letters, language))
        else:
            out.print(_NO_LETTERS.in_(language))

    terminal.with_bus(loaded, work)


@app.command("resend")
def resend(
    name: Name,
    number: Annotated[
        list[int] | None, typer.Argument(help="Numbers that `dead` shows; left out: all.")
    ] = None,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Send alerts once more that a sink did not take; those that it takes leave the list. 重新发送.

    Exit code 0 when all of them were taken.
    """
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)

    async def work(bus: Bus) -> None:
        numbers = number or [letter.sequence for letter in await _letters(bus, name)]
        left = 0
        for each in numbers:
            try:
                await ask(bus, SinkRequest(op="resend", sink=name, sequence=each))
            except SinksFault as fault:
                left += 1
                err.print(safe(f"{each}: {fault}"))
        done = len(numbers) - left
        said = _SENT.in_(language).format(name=name, done=done, left=left)
        _say(said, {"sink": name, "taken": done, "left": left}, as_json=as_json)
        if left:
            raise typer.Exit(terminal.EXIT_FAILED)

    terminal.with_bus(loaded, work)


async def _letters(bus: Bus, name: str | None) -> list[DeadLetter]:
    """Return the dead letters; a name that has none and that no setting lists is refused."""
    letters = await dead_letters(bus, name)
    if name is not None and not letters:
        names = [state.name for state in (await ask(bus, SinkRequest(op="list"))).sinks]
        if name not in names:
            listed = ", ".join(names) or "none"
            raise SinksFault(f"sink {name}: scorer.sinks names no such sink; it names: {listed}")
    return letters


def _say(text: str, record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.document(record)
    else:
        out.print(safe(text))


def _record(letter: DeadLetter) -> dict[str, Any]:
    alert = letter.alert
    return {
        "number": letter.sequence,
        "sink": letter.sink,
        "parked": letter.parked,
        "why": letter.why,
        "alert": alert.model_dump(mode="json") if alert else None,
    }


def _table(letters: list[DeadLetter], language: Language) -> Listing:
    rows = []
    for letter in letters:
        alert = letter.alert
        title = f"{alert.id}: {alert.title.in_(language)}" if alert else _UNREADABLE.in_(language)
        row = (letter.sequence, letter.sink, when(letter.parked), title, letter.why)
        rows.append([safe(cell) for cell in row])
    return Listing([title.in_(language) for title in _LETTERS.values()], rows)

# SPDX-License-Identifier: Apache-2.0
"""The `habitus` command: each subcommand reads its options here and works elsewhere."""

from pathlib import Path
from typing import Annotated, Final

import typer

from habitus import __version__
from habitus.alerts import Alert
from habitus.languages import Language, language_of
from habitus.profiles import ProfileSummary
from habitus_console import (
    alerts_cli,
    bills_cli,
    explain_cli,
    llm_cli,
    model_cli,
    profile_view,
    profiles_cli,
    render,
    sinks_cli,
    targets_cli,
    terminal,
    watch,
)
from habitus_console import doctor as doctors
from habitus_console.options import AsJson, Lang, SettingsFile
from habitus_console.progress import Progress
from habitus_console.render import safe
from habitus_console.replay import Recordings
from habitus_console.replay import replay as run_replay
from habitus_console.terminal import err, out

app = typer.Typer(
    help="Habitus learns what each container normally does and tells you when it departs from it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Help lists the panels in this order, and in each first what stands alone.
_RUN: Final = "Run 运行"
_LOOK: Final = "Look and decide 查看与处理"
_TUNE: Final = "Choose and measure 选择与评测"
bills_cli.add_to(profiles_cli.app)


def _recording(help_text: str) -> object:
    return typer.Option(exists=True, dir_okay=False, readable=True, help=help_text)


def _show_alert(one: Alert, language: Language, *, as_json: bool) -> None:
    terminal.show(one.model_dump_json(), lambda: render.alert(one, language), as_json=as_json)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's own form
    if wanted:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[  # noqa: FBT002 - typer's own form
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Habitus learns what each container normally does and tells you when it departs from it."""


@app.command(rich_help_panel=_RUN)
def up(
    sample: Annotated[
        Path | None,
        typer.Option(help="Folder with learn.jsonl and detect.jsonl, for a machine without eBPF."),
    ] = None,
    settings_file: SettingsFile = None,
    lang: Lang = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Start a private NATS and every service, and watch the containers of this host.

    Alerts appear as they are raised, with --json as one object a line; Ctrl-C ends everything. Where the
    kernel can't be watched it says what is missing and goes on with the recorded sample.
    """
    loaded = terminal.load(settings_file)
    language = terminal.language(lang, loaded)
    diagnosis = doctors.diagnose(loaded, language)
    for check in diagnosis.obstacles:
        err.print(safe(f"{check.title or check.name}: {check.found or 'missing'}. {check.advice}"))

    def show(alert: Alert) -> None:
        _show_alert(alert, language, as_json=as_json)

    terminal.run(watch.up(loaded, sample=sample, from_kernel=diagnosis.ok, show=show, language=language))


@app.command(rich_help_panel=_RUN)
def doctor(settings_file: SettingsFile = None, lang: Lang = None, *, as_json: AsJson = False) -> None:
    """Say what this machine's kernel offers, what is on, and what to do about the rest.

    With a running stack also what its collectors say: known, lost, spooled. JSON is in English unless --lang
    says otherwise. Exit code 0 when containers can be watched here, 1 when not.
    """
    loaded = terminal.load(settings_file)
    language = language_of(lang) if as_json else terminal.language(lang, loaded)
    diagnosis = terminal.run(doctors.with_nodes(doctors.diagnose(loaded, language), loaded))
    if as_json:
        terminal.document(diagnosis)
    else:
        out.print(doctors.table(diagnosis, language))
    raise typer.Exit(0 if diagnosis.ok else 1)


@app.command(rich_help_panel=_RUN)
def record(
    file: Annotated[Path, typer.Argument(help="JSON Lines file to write; `-` for standard output.")],
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after this long; else at Ctrl-C.")
    ] = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the events of this host's containers as JSON Lines, for `habitus replay`.

    Listens to a running `habitus up` or to HABITUS_NATS_URL; with neither it starts a collector of its own.
    """
    loaded = terminal.load(settings_file)
    count = terminal.run(watch.record(loaded, file, seconds))
    if as_json and str(file) != "-":
        terminal.document({"events": count, "file": str(file)})
    else:
        err.print(safe(f"{count} events written to {file}"))


@app.command(rich_help_panel=_RUN)
def replay(
    learn: Annotated[Path | None, _recording("JSON Lines to learn from.")] = None,
    detect: Annotated[Path | None, _recording("JSON Lines to judge.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Verdicts go here, alerts to OUT.alerts.jsonl.")
    ] = None,
    settings_file: SettingsFile = None,
    lang: Lang = None,
    *,
    evidence: Annotated[
        str | None, typer.Option(help="Instead: take an alert's decision again (a saved bundle, or its id).")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="With --evidence: ask the language model anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Learn from one recording, then judge another: one line of verdict for each of its events.

    Says of each image what it learned and whether that is enough; what rules hit is not learned. With
    --evidence the configured engines judge an alert's anomalies again; exit code 1 when the outcome differs.
    """
    if evidence is not None:
        explain_cli.repeat(evidence, settings_file, lang, ask=ask, as_json=as_json)
    if learn is None or detect is None or out_file is None:
        terminal.fail("replay needs --learn, --detect and --out, or --evidence", terminal.EXIT_USAGE)
    language = terminal.language(lang, terminal.load(settings_file))
    if out_file.is_dir() or not out_file.parent.is_dir():
        why = "it is a folder" if out_file.is_dir() else "no such folder"
        terminal.fail(f"--out {out_file}: {why}", terminal.EXIT_USAGE)
    learned: list[ProfileSummary] = []

    def show(found: list[ProfileSummary]) -> None:
        learned.extend(found)
        for line in () if as_json else profile_view.learned(found, language):
            err.print(line)

    counts = terminal.run(
        run_replay(
            Recordings(learn, detect, out_file),
            settings_file,
            lambda line: err.print(safe(line)),
            show,
            Progress(err),
        )
    )
    for count, file in ((counts["learned"], learn), (counts["judged"], detect)):
        if not count:
            err.print(safe(f"warning: {file} has no event that can be read; see docs/interchange.md"))
    if as_json:
        profiles = {one.image_key: one.convergence.model_dump() for one in learned}
        terminal.document({**counts, "convergence": profiles})
    else:
        words = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items())
        out.print(safe(f"{words} → {out_file}"))


@app.command(rich_help_panel=_RUN)
def demo(
    pods: Annotated[
        int, typer.Option(min=1, max=50, help="How many Pods are attacked, of three or more.")
    ] = 1,
    figures: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    record_to: Annotated[
        Path | None, typer.Option("--record", help="Folder for learn.jsonl and detect.jsonl of this run.")
    ] = None,
    lang: Lang = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Play the mining story on real containers: ordinary work, then two disguised miners.

    Needs root, containerd and runc. The miners are harmless and no packet leaves the machine. With
    HABITUS_LLM_PROVIDER a language model gives its points too (`fake` invents them, to see the way of the
    data); a slow one's follow with the alert's next revision. Exit code 0 only when ordinary work raised no
    alert and each attack exactly one.
    """
    from habitus_console.demo import story  # noqa: PLC0415 - only the demo needs containers

    loaded = terminal.load(None)
    language = terminal.language(lang, loaded)
    options = story.Options(
        pods=pods, figures=figures, record_to=record_to, language=language, llm=loaded.llm
    )
    held = terminal.run(story.play(options, out, err, as_json=as_json))
    raise typer.Exit(0 if held else 1)


app.command("explain", rich_help_panel=_LOOK)(explain_cli.explain)
app.add_typer(alerts_cli.app, name="alerts", rich_help_panel=_LOOK)
app.add_typer(profiles_cli.app, name="profile", rich_help_panel=_LOOK)
app.add_typer(sinks_cli.app, name="sinks", rich_help_panel=_LOOK)
app.command("calibrate", rich_help_panel=_TUNE)(model_cli.calibrate)
app.add_typer(targets_cli.app, name="targets", rich_help_panel=_TUNE)
app.add_typer(llm_cli.app, name="llm", rich_help_panel=_TUNE)
app.add_typer(model_cli.app, name="model", rich_help_panel=_TUNE)

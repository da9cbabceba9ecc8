# SPDX-License-Identifier: Apache-2.0
"""`habitus explain` and `habitus replay --evidence`: a decision retold, and taken again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml
from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from habitus.evidence import Evidence, Term
from habitus.languages import Language
from habitus.policies import SuggestedAction
from habitus.repeats import AnomalyRepeat, Repeat
from habitus.settings import PREFIX, Settings
from habitus.text import printable
from habitus_console import evidence as evidences
from habitus_console import state, terminal
from habitus_console.explaining import parts
from habitus_console.explaining_words import HOW, W
from habitus_console.options import AsJson, Lang, SettingsFile
from habitus_console.render import safe
from habitus_console.terminal import err, out

_SCORER: Final = "habitus_scorer"
_LINE: Final = 1000
_PATIENCE_S: Final = 180


def explain(
    alert: Annotated[str, typer.Argument(help="Id of an alert, its beginning, or a saved bundle.")],
    save: Annotated[
        Path | None, typer.Option(help="Write the evidence bundle to this file (.gz: compressed).")
    ] = None,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    action: Annotated[
        bool, typer.Option("--action", help="Print what to apply as YAML, for `kubectl apply -f -`.")
    ] = False,
    entries: Annotated[
        bool, typer.Option("--entries", help="Print the policy entries that deny what was done, as YAML.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Retell why an alert was raised: what failed, each engine's points, the total, what to do. 解释告警.

    --json prints the whole evidence bundle, the language model's question and answer among it.
    """
    loaded = terminal.load(settings_file)
    evidence = terminal.run(evidences.found(alert, loaded))
    language = terminal.language(lang, loaded)
    if save:
        if not save.parent.is_dir():
            terminal.fail(f"--save {save}: no such folder", terminal.EXIT_USAGE)
        evidences.save(evidence, save)
    if action or entries:
        typer.echo(_applicable(evidence, language, only_entries=entries), nl=False)
    elif as_json:
        typer.echo(evidence.as_json())
    else:
        if not evidence.anomalies:
            err.print(safe(W["alone"].in_(language)))
        # A command that is written to a file, or copied from there, must not be broken.
        out.print(story(evidence, language, hang=out.is_terminal), soft_wrap=not out.is_terminal)


def story(evidence: Evidence, language: Language, *, hang: bool = False) -> RenderableType:
    """The decision in plain words; what was observed is escaped. `hang`: lines that break stay indented."""
    lines: list[RenderableType] = []
    for part in parts(evidence, language):
        lines.append(Text(part.title, style="bold"))
        for line in part.lines:
            begins = 2 + len(line) - len(line.lstrip(" "))
            text = safe(line.lstrip(" "), _LINE)
            lines.append(Padding(text, (0, 0, 0, begins)) if hang else Text.assemble(" " * begins, text))
    return Group(*lines)


def _applicable(evidence: Evidence, language: Language, *, only_entries: bool) -> str:
    suggested = evidence.alert.action
    if suggested is None or not (suggested.objects or suggested.entries):
        terminal.fail(W["no_action"].in_(language), terminal.EXIT_FAILED)
    if only_entries or not suggested.objects:
        return entries_yaml(suggested)
    return objects_yaml(suggested)


def objects_yaml(suggested: SuggestedAction) -> str:
    """The Kubernetes objects, a YAML document each; what to run before stands above as comments."""
    first = ["Run first:", *suggested.prepare] if suggested.prepare else []
    head = "".join(f"# {printable(line)}\n" for line in (suggested.title.en, *first))
    return head + _yaml(suggested.objects)


def entries_yaml(suggested: SuggestedAction) -> str:
    """The policy entries, a YAML document each."""
    return _yaml([entry.model_dump(mode="json", exclude_none=True) for entry in suggested.entries])


def _yaml(documents: list[dict[str, Any]]) -> str:
    # Without allow_unicode everything beyond ASCII is escaped: observed paths reach a terminal here.
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)


def repeat(asked: str, settings_file: Path | None, lang: str | None, *, ask: bool, as_json: bool) -> None:
    """Take a decision again and show both; exit code 1 when they differ."""
    loaded = terminal.load(settings_file)
    if find_spec(_SCORER) is None:
        terminal.fail("the scorer is not installed here: pip install habitus-scorer", terminal.EXIT_FAILED)
    evidence = terminal.run(evidences.found(asked, loaded))
    found = _again(evidence, loaded, ask=ask)
    if as_json:
        terminal.show(found.model_dump_json(), str, as_json=True)
    else:
        out.print(comparison(found, terminal.language(lang, loaded)))
    raise typer.Exit(0 if found.same else 1)


def _again(evidence: Evidence, loaded: Settings, *, ask: bool) -> Repeat:
    # A process of its own: no service imports another.
    command = [sys.executable, "-m", f"{_SCORER}.again", *(["--ask"] if ask else [])]
    environment = dict(os.environ)
    if ask:
        broker = state.running_broker(loaded)
        if broker is None:
            terminal.fail("--ask: no running stack: start one with `habitus up`", terminal.EXIT_FAILED)
        environment[f"{PREFIX}NATS_URL"] = broker.url
        if broker.token:
            environment[f"{PREFIX}NATS_TOKEN"] = broker.token
    done = subprocess.run(
        command, input=evidence.pack(), env=environment, capture_output=True, timeout=_PATIENCE_S, check=False
    )
    try:
        return Repeat.model_validate_json(done.stdout)
    except ValidationError:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["the scorer said nothing"]
        terminal.fail(said[-1], terminal.EXIT_FAILED)


def comparison(found: Repeat, language: Language) -> RenderableType:
    """Old and new side by side, a table an anomaly."""
    answer = {True: W["yes"].in_(language), False: W["no"].in_(language)}
    lines: list[RenderableType] = [_table(one, language) for one in found.anomalies]
    severities = (found.severity_then.label.in_(language), found.severity_now.label.in_(language))
    lines.append(safe(f"{W['severity'].in_(language)}: {' → '.join(severities)}"))
    lines.append(safe(W["told"].in_(language).format(then=answer[found.told], now=answer[found.tells])))
    if found.changed:
        lines.append(safe(W["changed"].in_(language).format(rules=", ".join(found.changed)), _LINE))
    lines.append(safe(W["equal" if found.same else "unequal"].in_(language)))
    return Group(*lines)


def _table(one: AnomalyRepeat, language: Language) -> Table:
    titles = [W[name].in_(language) for name in ("engine", "then", "now", "same", "how")]
    table = Table(*titles, title=safe(f"{one.process} ({one.anomaly_id})", 200), title_justify="left")
    for cells in _rows(one, language):
        table.add_row(*(safe(cell) for cell in cells))
    return table


def _rows(one: AnomalyRepeat, language: Language) -> Iterator[tuple[str, ...]]:
    for name, engine in one.engines.items():
        note = f" ({engine.note})" if engine.note and not engine.same else ""
        how = HOW[engine.how].in_(language) + note
        yield name, _points(engine.then), _points(engine.now), "✓" if engine.same else "✗", how
    same = "✓" if one.then == one.now else "✗"
    yield W["sum_of"].in_(language), f"{one.then:g}", f"{one.now:g}", same, ""


def _points(term: Term | None) -> str:
    if term is None or term.abstained:
        return "–"
    return f"{term.points:g} / {term.max_points:g}"

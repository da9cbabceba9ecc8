# SPDX-License-Identifier: Apache-2.0
"""`habitus llm`: which language models are asked, and how well one judges."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from habitus.bus import Bus
from habitus.languages import Bilingual, Language
from habitus.service import ADDRESS
from habitus.settings import NatsSettings, Settings
from habitus_console import terminal
from habitus_console.listing import Listing
from habitus_console.options import AsJson, Lang, SettingsFile
from habitus_console.render import safe
from habitus_console.stack import metadata_of
from habitus_console.state import running_broker
from habitus_console.terminal import out

app = typer.Typer(help="Look at the language models that judge. 查看判定模型.", no_args_is_help=True)

_EVALUATION: Final = "habitus_llm_gateway"
_PATIENCE_S: Final = 5
_MOST: Final = 1 << 20
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_COLUMNS: Final = {
    "name": Bilingual(en="provider", zh="提供者"),
    "kind": Bilingual(en="kind", zh="类型"),
    "model": Bilingual(en="model", zh="模型"),
    "state": Bilingual(en="circuit", zh="熔断"),
    "why": Bilingual(en="why", zh="原因"),
}
_NONE: Final = Bilingual(
    en="no provider is set, so the engine abstains; set HABITUS_LLM_PROVIDER to one of: {names}",
    zh="未设置提供者，引擎弃权；把 HABITUS_LLM_PROVIDER 设为其中之一：{names}",
)
_BUDGET: Final = Bilingual(
    en="budget of {day} (UTC): {state}; spent {tokens} tokens, {usd:.4f} US dollars",
    zh="{day}（UTC）预算：{state}；已用 {tokens} 个词元，{usd:.4f} 美元",
)


@app.command("providers")
def providers(settings_file: SettingsFile = None, lang: Lang = None, *, as_json: AsJson = False) -> None:
    """Show whom the running gateway asks, each circuit, and the day's budget. 显示网关询问的对象."""
    loaded = terminal.load(settings_file)
    state = _state(_address(loaded))
    if as_json:
        terminal.document(state)
    else:
        _show(state, terminal.language(lang, loaded))


@app.command("evaluate")
def evaluate(
    provider: Annotated[str, typer.Option(help="A table of llm.providers, or a kind such as ollama.")],
    *,
    model: Annotated[str | None, typer.Option(help="Else what the settings name.")] = None,
    few: Annotated[int, typer.Option(min=1, help="Every n-th case and injection only.")] = 1,
    few_injections: Annotated[int | None, typer.Option(min=1, help="The same for injections.")] = None,
    at_once: Annotated[int, typer.Option(min=1, help="Questions under way; for `local` 1.")] = 4,
    cases: Annotated[
        Path | None, typer.Option(help="Labelled cases of your own, in the form of ours.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Keeps answers: go on where a run ended.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Add the figures to this JSON file.")] = None,
    settings_file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Run the labelled set on one provider, so that you can choose. 用标注集评测一个提供者.

    Prints balanced accuracy with and without the profile, calibration error, latency, cost and how many
    injections flipped a verdict. It asks about 330 questions, which a paid provider charges for.
    """
    if find_spec(_EVALUATION) is None:
        terminal.fail("the gateway is not installed here: pip install habitus-llm-gateway", 1)
    options = {
        "--provider": provider, "--model": model, "--few": few, "--few-injections": few_injections,
        "--at-once": at_once, "--cases": cases, "--resume": resume,
        "--figures": figures, "--settings": settings_file,
    }  # fmt: skip
    given = [text for name, value in options.items() if value is not None for text in (name, str(value))]
    command = [sys.executable, "-m", f"{_EVALUATION}.evaluation", *given, *(["--json"] if as_json else [])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


def _address(loaded: Settings) -> str:
    """Return where the gateway is: as the settings name it, else as the one of the running stack says."""
    llm, broker = loaded.llm, running_broker(loaded)
    if broker is not None and not llm.model_fields_set & {"host", "port"}:
        told = terminal.run(_told(broker))
        if told is not None:
            return told
    host = f"[{llm.host}]" if ":" in llm.host else llm.host
    return f"http://{host}:{llm.port}"


async def _told(broker: NatsSettings) -> str | None:
    async with Bus(broker, "console") as bus:
        return (await metadata_of(bus.nc, "llm-gateway") or {}).get(ADDRESS)


def _state(gateway: str) -> dict[str, Any]:
    """Return what the gateway says of itself."""
    address = f"{gateway}/v1/providers"
    try:
        # http by its form; a proxy of the environment knows no gateway on the loopback
        with _DIRECT.open(address, timeout=_PATIENCE_S) as answer:
            state: dict[str, Any] = json.loads(answer.read(_MOST))
    except (urllib.error.URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        terminal.fail(
            f"no gateway answers at {address} ({why}): start one with `habitus up`, or name it by "
            "HABITUS_LLM_HOST and HABITUS_LLM_PORT",
            terminal.EXIT_FAILED,
        )
    return state


def _show(state: dict[str, Any], language: Language) -> None:
    if not state["chain"]:
        out.print(safe(_NONE.in_(language).format(names=", ".join(state["installed"])), 1000))
        return
    rows = ([safe(link[column]) for column in _COLUMNS] for link in state["chain"])
    out.print(Listing([title.in_(language) for title in _COLUMNS.values()], rows))
    out.print(safe(_BUDGET.in_(language).format(**state["budget"])))

# SPDX-License-Identifier: Apache-2.0
"""`habitus model` and `habitus calibrate`: which model turns texts into vectors, and at what cosine."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.table import Table

from habitus.bus import Bus
from habitus.languages import Bilingual, Language
from habitus_console import calibration, embedder, profiles, terminal
from habitus_console.calibration import Calibration, Point
from habitus_console.options import AsJson, Lang, SettingsFile
from habitus_console.progress import Progress
from habitus_console.render import safe
from habitus_console.terminal import err, out

app = typer.Typer(help="Get and see the embedding model: 获取和查看嵌入模型.", no_args_is_help=True)

_EXPORT: Final = "habitus_embedder"
_MODEL: Final = Bilingual(
    en="{model}: {dimension} dimensions, threshold {threshold:.2f}",
    zh="{model}: {dimension} 维, 阈值 {threshold:.2f}",
)
_COLUMNS: Final = {
    "threshold": Bilingual(en="threshold", zh="阈值"),
    "false_positives": Bilingual(en="false positives", zh="误报"),
    "misses": Bilingual(en="misses", zh="漏报"),
}
_FROM: Final = Bilingual(
    en="{model}: {benign} learned forms, {hostile} hostile lines; in use: {current:.2f}",
    zh="{model}: {benign} 个已学形式, {hostile} 条恶意命令; 当前阈值 {current:.2f}",
)
_PROPOSED: Final = Bilingual(
    en="proposed: {threshold:.2f}: set HABITUS_PROFILER_THRESHOLD={threshold:.2f}, or embedder.threshold",
    zh="建议 {threshold:.2f}: 设置 HABITUS_PROFILER_THRESHOLD={threshold:.2f} 或 embedder.threshold",
)
_TOO_FEW: Final = Bilingual(
    en="no proposal: fewer than {fewest} learned forms that have a neighbour; let it learn longer",
    zh="无建议: 有近邻的已学形式少于 {fewest} 个; 请继续学习",
)


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(help="Folder, or `owner/name` of a model hub.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    *,
    int8: Annotated[bool, typer.Option("--int8", help="Weights in 8 bits: a quarter of the memory.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Half precision, for a GPU.")] = False,
    family: Annotated[str | None, typer.Option("--as", help="qwen3, minilm or onnx.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of the hub's repository.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an ONNX model folder with checksums out of weights, or of a folder that has a graph. 导出模型.

    Needs the embedder's extra `export` beside this command; weights are never read from pickles.
    """
    if int8 and fp16:
        terminal.fail("--int8 and --fp16: choose one", terminal.EXIT_USAGE)
    if importlib.util.find_spec(_EXPORT) is None:
        terminal.fail("the embedder is not installed here: pip install 'habitus-embedder[cpu,export]'", 1)
    options = [*(["--int8"] if int8 else []), *(["--fp16"] if fp16 else []), *(["--json"] if as_json else [])]
    options += ["--as", family] if family else []
    options += ["--revision", revision] if revision else []
    # A process of its own: no service imports another, and the export takes gigabytes.
    command = [sys.executable, "-m", f"{_EXPORT}.export", "--out", str(folder), *options, "--", model]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command("show")
def show(lang: Lang = None, settings_file: SettingsFile = None, *, as_json: AsJson = False) -> None:
    """Show the model that the running embedder serves. 查看正在使用的模型."""
    loaded = terminal.load(settings_file)

    async def work(bus: Bus) -> None:
        reply = await embedder.about(bus)
        about = {"model": reply.model, "dimension": reply.dimension, "threshold": reply.threshold}
        if as_json:
            terminal.document(about)
        else:
            out.print(safe(_MODEL.in_(terminal.language(lang, loaded)).format(**about)))

    terminal.with_bus(loaded, work)


def calibrate(
    image: Annotated[
        str | None, typer.Argument(help="Image key, or how it begins; left out: every profile.")
    ] = None,
    lang: Lang = None,
    settings_file: SettingsFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show false positives and misses by threshold for the model in use, and propose one. 校准阈值.

    From your own profiles' learned command lines and a built-in set of hostile ones. Slots are not
    counted: what they catch is caught at any threshold.
    """
    loaded = terminal.load(settings_file)

    async def work(bus: Bus) -> None:
        keys = (
            [await profiles.named(bus, image)]
            if image
            else [one.image_key for one in await profiles.summaries(bus)]
        )
        details = [await profiles.detail(bus, key) for key in keys]
        found = [leaf for one in details for leaf in calibration.leaves(one.tries.process)]
        model = await embedder.about(bus)
        with Progress(err).count("embedding") as so_far:
            rows = await embedder.vectors(bus, calibration.texts(found), so_far)
        told = calibration.measure(found, rows, model.model, model.threshold)
        if as_json:
            terminal.document(told)
            return
        language = terminal.language(lang, loaded)
        out.print(_shown(told, language))
        if told.proposed is None:
            err.print(safe(_TOO_FEW.in_(language).format(fewest=calibration.FEWEST)))

    terminal.with_bus(loaded, work)


def _shown(told: Calibration, language: Language) -> RenderableType:
    table = Table(*(title.in_(language) for title in _COLUMNS.values()))
    marked: list[Point] = [*told.curve, *([told.proposed] if told.proposed else [])]
    for point in sorted(marked, key=lambda one: one.threshold):
        style = "bold" if point is told.proposed else None
        table.add_row(
            f"{point.threshold:.2f}", f"{point.false_positives:.1%}", f"{point.misses:.1%}", style=style
        )
    lines: list[RenderableType] = [safe(_FROM.in_(language).format(**told.model_dump()))]
    lines += [table] if told.curve else []
    if told.proposed:
        lines.append(safe(_PROPOSED.in_(language).format(threshold=told.proposed.threshold)))
    return Group(*lines)

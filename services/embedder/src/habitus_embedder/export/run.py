# SPDX-License-Identifier: Apache-2.0
"""The export from one end to the other. A folder is whole or it is not there."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from habitus.settings import EmbedderSettings
from habitus_embedder.export import precision, source, torch_graph
from habitus_embedder.export.check import agreement
from habitus_embedder.export.faults import ExportFault
from habitus_embedder.models.folder import open_folder
from habitus_embedder.models.manifest import ABOUT, read_json, write_sums
from habitus_embedder.models.onnx import ANY, MINILM, QWEN3, Family, OnnxModel

FAMILIES: Final[dict[str, Family]] = {one.name: one for one in (QWEN3, MINILM, ANY)}
# fp32 must be the same model; smaller weights are another one, whose agreement is told.
_SAME: Final = 1e-3


class Wish(NamedTuple):
    """What to make: see the options of `habitus model export`."""

    model: str
    out: Path
    revision: str | None
    family: str | None
    precision: str


def export(wish: Wish) -> dict[str, Any]:
    """Make the folder; return what was made, with how it agrees with PyTorch (None: nothing to ask).

    Raises:
        ExportFault, ModelFault: what is missing or does not fit; nothing is left behind.
    """
    if wish.out.exists() and (not wish.out.is_dir() or any(wish.out.iterdir())):
        raise ExportFault(f"--out {wish.out}: is there already and not empty")
    folder = source.fetched(wish.model, wish.revision)
    parent = wish.out.resolve().parent
    if not parent.is_dir():
        raise ExportFault(f"--out {wish.out}: {parent} is no folder")
    with tempfile.TemporaryDirectory(prefix=f".{wish.out.name}-", dir=parent) as made:
        told = _made(wish, folder, Path(made) / "model")
        if wish.out.exists():
            wish.out.rmdir()
        shutil.move(Path(made) / "model", wish.out)
    return told


def _made(wish: Wish, folder: Path, out: Path) -> dict[str, Any]:
    out.mkdir()
    graph = source.ready_graph(folder)
    made_by: dict[str, str] = {}
    model = None
    if graph is None:
        source.require_safe_weights(folder)
        model = torch_graph.load(folder)
        made_by = torch_graph.write_graph(model, folder, out)
    else:
        source.copy_graph(graph, out)
    source.copy_beside(folder, out)
    if wish.precision == "int8":
        precision.to_int8(out / "model.onnx")
    elif wish.precision == "fp16":
        precision.to_fp16(out / "model.onnx")
    return _finished(wish, out, model, made_by)


def _finished(wish: Wish, out: Path, model: Any, made_by: dict[str, str]) -> dict[str, Any]:
    family = FAMILIES[wish.family] if wish.family else _family(out)
    name = Path(wish.model).resolve().name if Path(wish.model).is_dir() else wish.model
    name += "" if wish.precision == "fp32" else f"-{wish.precision}"
    about = {"name": name, "licence": family.licence, "precision": wish.precision, "made_by": made_by}
    (out / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
    write_sums(out)
    found = open_folder(out)
    served = OnnxModel(found, family, EmbedderSettings())
    told: dict[str, Any] = {
        "folder": str(wish.out),
        "serve_as": family.name,
        "name": name,
        "precision": wish.precision,
        "dimension": served.dimension,
        "pooling": found.pooling or family.pooling,
        "max_length": served.max_length,
        "bytes": sum(file.stat().st_size for file in out.iterdir() if file.is_file()),
        "cosine": None,
        "difference": None,
    }
    pooling = found.pooling or family.pooling
    if model is not None and pooling is not None:
        told["cosine"], told["difference"] = agreement(served, model, pooling)
        if wish.precision == "fp32" and told["difference"] > _SAME:
            raise ExportFault(
                f"the graph's vectors differ from PyTorch's by up to {told['difference']:.2g}: not exported"
            )
    return told


def _family(out: Path) -> Family:
    """Choose by what the folder says; how an unknown model pools is never guessed."""
    config = read_json(out / "config.json") if (out / "config.json").is_file() else {}
    if isinstance(config, dict) and config.get("model_type") == "qwen3":
        return QWEN3
    if (out / "1_Pooling").is_dir():
        return ANY
    raise ExportFault("no 1_Pooling/config.json says how this model pools: name its family by --as")

# SPDX-License-Identifier: Apache-2.0
"""Where a model comes from: a local folder, or a model hub by name. Weights never come from pickles."""

import shutil
from pathlib import Path
from typing import Final

from habitus_embedder.export.faults import ExportFault

# What a model is made of; a repository's other weights and its scripts are not fetched.
_WANTED: Final = (
    "*.json",
    "*.txt",
    "*.model",
    "*.safetensors",
    "onnx/*",
    "*.onnx",
    "*.onnx_data",
    "LICENSE*",
)
_PICKLES: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# Beside the graph: the tokenizer, and what says how the model pools.
_KEPT: Final = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "LICENSE",
)


def fetched(model: str, revision: str | None) -> Path:
    """Return the folder of `model`: the path itself, or what a model hub has under the name.

    Raises:
        ExportFault: no such folder, no hub to be reached, or weights that only a pickle has.
    """
    local = Path(model)
    if local.is_dir():
        return local
    if local.exists() or model.startswith(("/", ".", "~")) or model.count("/") != 1:
        raise ExportFault(f"{model}: no such folder, and no `owner/name` of a model hub")
    return _downloaded(model, revision)


def _downloaded(model: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415  # part of the extra `export`
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415
    except ImportError:
        raise ExportFault(needs_extra("huggingface_hub")) from None
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(_WANTED)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ExportFault(
            f"{model}: cannot be fetched: {first}; where no hub is reached, copy the model's folder here "
            "and name that"
        ) from None


def ready_graph(folder: Path) -> Path | None:
    """Return the ONNX graph that `folder` already has, or None."""
    return next((at for at in (folder / "model.onnx", folder / "onnx" / "model.onnx") if at.is_file()), None)


def require_safe_weights(folder: Path) -> None:
    """Refuse a folder without safetensors: unpickling runs whatever the file says.

    Raises:
        ExportFault: there are none.
    """
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(one.name for pattern in _PICKLES for one in folder.glob(pattern))
    if pickles:
        raise ExportFault(
            f"{folder}: its weights are {', '.join(pickles[:3])}, pickles, which run code when read; "
            "take a revision with *.safetensors"
        )
    raise ExportFault(f"{folder}: no *.safetensors and no ONNX graph in it")


def copy_beside(source: Path, out: Path) -> None:
    """Copy tokenizer and configuration; what the export wrote already stays."""
    for name in _KEPT:
        if (source / name).is_file() and not (out / name).exists():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, out / name)


def copy_graph(graph: Path, out: Path) -> None:
    """Copy a graph that is ready, with the data files that lie beside it."""
    for file in (graph, *graph.parent.glob(f"{graph.name}*data"), *graph.parent.glob("*.onnx.data")):
        if not (out / file.name).exists():
            shutil.copyfile(file, out / file.name)


def needs_extra(package: str) -> str:
    """Return the line that says what to install."""
    return f"{package} is missing: install 'habitus-embedder[cpu,export]'"

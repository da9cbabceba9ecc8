# SPDX-License-Identifier: Apache-2.0
"""A model folder: its graph, its tokenizer, and what its own configuration says of pooling and length.

The forms that are read: what `habitus model export` writes, a sentence-transformers repository with
an ONNX graph in it, and the folders in which ONNX graphs of embedding models are published.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from habitus_embedder.models.faults import ModelFault
from habitus_embedder.models.manifest import SUMS, About, digest, read_about, read_json, verify
from habitus_embedder.models.pooling import Pooling

_POOLINGS: Final[dict[str, Pooling]] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}
_MODULES: Final = {"Transformer", "Pooling", "Normalize"}


@dataclass(frozen=True)
class Folder:
    """What was found in a model folder.

    Attributes:
        graph: the ONNX file.
        tokenizer: the `tokenizer.json`.
        config: the transformer's `config.json`, empty where there is none.
        pooling: what the folder's own configuration asks for; None where it says nothing.
        max_length: tokens that the folder's own configuration allows; None likewise.
        about: `habitus.json`.
        identity: a hash over the graph, its weights and the tokenizer.
        verified: whether checksums were there and right.
    """

    path: Path
    graph: Path
    tokenizer: Path
    config: dict[str, Any]
    pooling: Pooling | None
    max_length: int | None
    about: About
    identity: str
    verified: bool


def open_folder(path: Path, file: str | None = None) -> Folder:
    """Find the parts of a model in `path`; `file` chooses the graph where there are several.

    Raises:
        ModelFault: something is missing, not as listed in the checksums, or not understood.
    """
    if not path.is_dir():
        raise ModelFault(f"embedder.path: {path}: no such folder; see `habitus model export`")
    verified = verify(path)
    tokenizer = path / "tokenizer.json"
    if not tokenizer.is_file():
        raise ModelFault(f"{path}: no tokenizer.json; a model needs the fast tokenizer that it was made with")
    about = read_about(path)
    graph = _graph(path, file)
    return Folder(
        path=path,
        graph=graph,
        tokenizer=tokenizer,
        config=_mapping(path / "config.json"),
        pooling=_pooling(path),
        max_length=about.max_length or _max_length(path),
        about=about,
        identity=_identity(path, graph, tokenizer, verified=verified),
        verified=verified,
    )


def _identity(path: Path, graph: Path, tokenizer: Path, *, verified: bool) -> str:
    if verified:
        # The list stands for all that it lists, and gigabytes need not be read again.
        return f"{digest(path / SUMS)}/{graph.name}"
    weights = sorted(graph.parent.glob(f"{graph.name}*data"))
    return "/".join(digest(file) for file in (graph, *weights, tokenizer))


def _graph(path: Path, file: str | None) -> Path:
    if file is not None:
        graph = path / file
        if not graph.is_file() or not graph.resolve().is_relative_to(path.resolve()):
            raise ModelFault(f"embedder.file: {file}: no such file in {path}")
        return graph
    for place in (path / "model.onnx", path / "onnx" / "model.onnx"):
        if place.is_file():
            return place
    found = sorted(path.glob("*.onnx")) or sorted(path.glob("onnx/*.onnx"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise ModelFault(
            f"{path}: no ONNX graph in it; make one with `habitus model export {path} --out DIR`"
        )
    names = ", ".join(str(one.relative_to(path)) for one in found[:8])
    raise ModelFault(f"{path}: several graphs ({names}); choose one by the setting embedder.file")


def _pooling(path: Path) -> Pooling | None:
    """Return the pooling of `1_Pooling/config.json`, as `modules.json` places it."""
    _refuse_unknown_modules(path)
    file = path / "1_Pooling" / "config.json"
    if not file.is_file():
        return None
    config = _mapping(file)
    chosen = [key for key, on in config.items() if key.startswith("pooling_mode") and on is True]
    if len(chosen) != 1 or chosen[0] not in _POOLINGS:
        known = ", ".join(_POOLINGS)
        raise ModelFault(f"{file}: pooling {' + '.join(chosen) or 'none'} is not served; one of {known} is")
    return _POOLINGS[chosen[0]]


def _refuse_unknown_modules(path: Path) -> None:
    """A module left out would give other vectors without a word."""
    if not (path / "modules.json").is_file():
        return
    for name in _modules(path / "modules.json"):
        if name not in _MODULES:
            served = ", ".join(sorted(_MODULES))
            raise ModelFault(f"{path / 'modules.json'}: module {name} is not served; only {served} are")


def _modules(file: Path) -> Iterator[str]:
    listed = read_json(file)
    if not isinstance(listed, list):
        raise ModelFault(f"{file}: not a list of modules")
    for module in listed:
        kind = module.get("type") if isinstance(module, dict) else None
        yield str(kind).rsplit(".", 1)[-1]


def _max_length(path: Path) -> int | None:
    """Return the tokens that sentence-transformers' own configuration allows, or None."""
    found = _mapping(path / "sentence_bert_config.json").get("max_seq_length")
    return found if isinstance(found, int) and found > 1 else None


def _mapping(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    found = read_json(file)
    if not isinstance(found, dict):
        raise ModelFault(f"{file}: not an object")
    return found

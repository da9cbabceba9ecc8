# SPDX-License-Identifier: Apache-2.0
"""Embedding models as ONNX graphs: `qwen3`, `minilm`, and `onnx` for any sentence-transformers folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from habitus.settings import EmbedderSettings
from habitus_embedder.models.faults import ModelFault
from habitus_embedder.models.folder import Folder, open_folder
from habitus_embedder.models.graph import Feed, Graph
from habitus_embedder.models.pooling import Pooling, Vectors, cut, pooled
from habitus_embedder.models.session import open_session

Ids = NDArray[np.int64]

# Attention takes memory by the square of the length: 2048 tokens of a 0.6B model take some 300 MB,
# 32 768 would take 70 GB. A command line has some 40.
_LONGEST: Final = 2048


@dataclass(frozen=True)
class Family:
    """What is right for a family of models where the folder itself does not say.

    Attributes:
        pooling: None: the folder must say.
        end: put the end token behind every text.
        smallest: dimension down to which vectors may be cut (Matryoshka); None: they may not.
        instructed: whether `embedder.instruction` means something to it.
    """

    name: str
    pooling: Pooling | None
    end: bool
    smallest: int | None
    instructed: bool
    max_length: int
    threshold: float
    licence: str


QWEN3: Final = Family("qwen3", "last", True, 32, True, 32_768, 0.95, "Apache-2.0")
MINILM: Final = Family("minilm", "mean", False, None, False, 256, 0.80, "Apache-2.0")
ANY: Final = Family("onnx", None, False, None, False, 512, 0.80, "unknown: see the model's own page")


class Hidden(NamedTuple):
    """What a run gave: hidden [n, t, d] with its mask [n, t], or pooled [n, d]."""

    rows: NDArray[Any]
    mask: Ids


class OnnxModel:
    """Implements `habitus.embedding.EmbeddingModel` on a folder.

    Safe for one thread a step. `padding` is on the right: pads behind a text are the one place where
    no model looks back from; both sides give the same vectors.
    """

    def __init__(
        self,
        folder: Folder,
        family: Family,
        settings: EmbedderSettings,
        padding: Literal["left", "right"] = "right",
    ) -> None:
        # Imported here, so that the lexical model needs no tokenizer library.
        from habitus_embedder.models.tokens import Tokens  # noqa: PLC0415

        pooling = folder.pooling or family.pooling
        graph = Graph(open_session(folder.graph, settings))
        if graph.by_token and pooling is None:
            raise ModelFault(
                f"{folder.path}: no 1_Pooling/config.json says how this model pools; "
                "serve it as qwen3 or minilm if it is one of them"
            )
        self._pooling: Pooling | None = pooling
        self._graph, self._padding = graph, padding
        self.max_length = _max_length(folder, family, settings)
        self._tokens = Tokens(folder, self.max_length, end=family.end)
        self._pad = _pad(folder)
        self._prefix = _prefix(family, settings)
        self.name = settings.served_name or folder.about.name or folder.path.resolve().name
        self.licence = folder.about.licence or family.licence
        self.threshold = _first(settings.threshold, folder.about.threshold, family.threshold)
        self.batch_tokens = settings.batch_tokens or (4096 if settings.provider == "cpu" else 32_768)
        full = self._proved()
        self.dimension, self.smallest = _dimensions(full, family, settings)
        # All on which a vector depends: embedders may share vectors under it, and only then.
        self.fingerprint = f"{folder.identity}/{self.dimension}/{self.max_length}/{pooling}/{self._prefix}"

    # A text takes milliseconds.
    light = False

    def count(self, texts: Sequence[str]) -> int:
        """Count as `encode_pre` does: instruction and special tokens too, and nothing that is cut."""
        return sum(map(len, self.encode_pre(list(texts))))

    def encode_pre(self, texts: list[str]) -> list[list[int]]:
        """Tokenise: one list of token numbers a text, the instruction before it and the end behind it."""
        return self._tokens.ids([self._prefix + text for text in texts] if self._prefix else texts)

    def encode_core(self, features: Sequence[list[int]]) -> Hidden:
        """Pad to the longest and run the graph."""
        feed, mask = self._fed(features)
        return Hidden(self._graph.run(feed), mask)

    def encode_post(self, outputs: Hidden) -> Vectors:
        """Pool, cut and normalise: → float32 [n, dimension]."""
        if self._pooling is None or not self._graph.by_token:
            return cut(outputs.rows, self.dimension)
        return cut(pooled(outputs.rows, outputs.mask, self._pooling), self.dimension)

    def _fed(self, features: Sequence[list[int]]) -> tuple[Feed, Ids]:
        longest = max(map(len, features))
        ids = np.full((len(features), longest), self._pad, np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(features):
            where = slice(longest - len(tokens), None) if self._padding == "left" else slice(len(tokens))
            ids[row, where] = tokens
            mask[row, where] = 1
        return self._graph.feed(ids, mask), mask

    def _proved(self) -> int:
        """Run once, so that what does not fit fails at the start and the first caller finds it warm."""
        try:
            rows = self.encode_core(self.encode_pre(["habitus", "x"])).rows
        except Exception as error:  # noqa: BLE001  # the runtime has a dozen kinds without a common base
            raise ModelFault(f"the graph does not run with this tokenizer: {error}") from None
        if rows.ndim not in (2, 3) or rows.shape[0] != 2 or not np.isfinite(rows).all():  # noqa: PLR2004
            raise ModelFault(f"the graph gave no finite vectors, but an output of shape {rows.shape}")
        return int(rows.shape[-1])


def qwen3(settings: EmbedderSettings) -> OnnxModel:
    """Qwen3-Embedding 0.6B, 4B or 8B: last token, end token, instruction, Matryoshka from 32 on."""
    return _served(QWEN3, settings)


def minilm(settings: EmbedderSettings) -> OnnxModel:
    """all-MiniLM-L6-v2 and its kin: mean over the tokens."""
    return _served(MINILM, settings)


def any_folder(settings: EmbedderSettings) -> OnnxModel:
    """Any sentence-transformers-style folder with a graph in it: pooling as its own configuration says."""
    return _served(ANY, settings)


def _served(family: Family, settings: EmbedderSettings) -> OnnxModel:
    if settings.path is None:
        raise ModelFault(
            f"embedder.path: {family.name} needs the folder of a model; "
            "make one with `habitus model export MODEL --out DIR`"
        )
    return OnnxModel(open_folder(settings.path, settings.file), family, settings)


def _max_length(folder: Folder, family: Family, settings: EmbedderSettings) -> int:
    positions = folder.config.get("max_position_embeddings")
    most = positions if isinstance(positions, int) and positions > 1 else family.max_length
    own = min(folder.max_length or family.max_length, most)
    if settings.max_length is None:
        return min(own, _LONGEST)
    if settings.max_length > most:
        raise ModelFault(f"embedder.max_length: {settings.max_length}; this model has at most {most} tokens")
    return settings.max_length


def _dimensions(full: int, family: Family, settings: EmbedderSettings) -> tuple[int, int]:
    """Return the dimension to serve, and the smallest one that a caller may ask for."""
    smallest = full if family.smallest is None else min(family.smallest, full)
    wanted = settings.dimension or full
    if not smallest <= wanted <= full:
        allowed = f"{smallest} to {full}" if smallest < full else f"{full} only"
        raise ModelFault(f"embedder.dimension: {wanted}; this model has {allowed}")
    return wanted, min(smallest, wanted)


def _prefix(family: Family, settings: EmbedderSettings) -> str:
    if settings.instruction and not family.instructed:
        raise ModelFault(f"embedder.instruction: a {family.name} model knows no instructions")
    return f"Instruct: {settings.instruction}\nQuery:" if settings.instruction else ""


def _pad(folder: Folder) -> int:
    pad = folder.config.get("pad_token_id")
    # What stands at a pad never reaches a vector; it must only be a token that the model has.
    return pad if isinstance(pad, int) and pad >= 0 else 0


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)

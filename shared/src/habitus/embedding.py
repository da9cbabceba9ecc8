# SPDX-License-Identifier: Apache-2.0
"""Texts in, vectors out: the request/reply of `habitus.embed`, and what a model must offer."""

from collections.abc import Sequence, Sized
from typing import Any, Protocol

from habitus.wire import Message


class EmbedRequest(Message):
    """Texts to embed. `model` None takes the embedder's own; `deadline_ms` 0 waits as the caller does.

    `dimension` 0 takes the model's own; a smaller one is had only of models whose vectors may be cut.
    """

    texts: list[str]
    model: str | None = None
    deadline_ms: int = 0
    dimension: int = 0


class EmbedReply(Message):
    """`vectors` is float32, C order, little endian, shape [len(texts), dimension], L2-normalised.

    `threshold` is the model's calibrated cosine at which two command lines mean the same.
    `error` is one line and the other fields are empty when the request failed.
    """

    model: str = ""
    dimension: int = 0
    threshold: float = 1.0
    vectors: bytes = b""
    error: str | None = None
    retry_after_ms: int = 0


class EmbeddingModel(Protocol):
    """What a plugin of the entry-point group `habitus.models` makes: it is called with EmbedderSettings.

    One that cannot be served raises `habitus.plugins.PluginFault` there, with one line that says why.
    The three steps run on threads of their own, so that tokenising and post-processing overlap
    with inference; those of a light model run one after the other on one thread. A text's vector
    must not depend on its neighbours in the batch.

    Attributes:
        name: as callers name it.
        dimension: numbers a vector.
        smallest: dimension down to which its vectors may be cut; `dimension` where they may not.
        max_length: tokens of a text that it reads.
        batch_tokens: what one run should hold at most: texts × the longest of them, by `len(feature)`.
        threshold: calibrated cosine at which two command lines mean the same.
        light: whether a batch takes about as long as handing it from thread to thread.
        licence: SPDX expression of the weights.
        fingerprint: names all on which a vector depends, so that embedders may share vectors; empty
            where asking the broker would take longer than the model.
    """

    name: str
    dimension: int
    smallest: int
    max_length: int
    batch_tokens: int
    threshold: float
    light: bool
    licence: str
    fingerprint: str

    def count(self, texts: Sequence[str]) -> int:
        """Return how many tokens of these texts it reads; from any thread."""
        ...

    def encode_pre(self, texts: list[str]) -> Sequence[Sized]:
        """Tokenise: one feature a text, whose `len` is what the text costs, in tokens."""
        ...

    def encode_core(self, features: Sequence[Any]) -> Any:
        """Run the model on a batch of features."""
        ...

    def encode_post(self, outputs: Any) -> Any:
        """Pool and normalise: → numpy float32 [n, dimension], rows of length 1."""
        ...

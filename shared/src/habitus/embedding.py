# SPDX-License-Identifier: Apache-2.0
"""Texts in, vectors out: the request/reply of `habitus.embed`, and what a model must offer."""

from typing import Any, Protocol

from habitus.wire import Message


class EmbedRequest(Message):
    """Texts to embed. `model` None takes the embedder's own; `deadline_ms` 0 waits as the caller does."""

    texts: list[str]
    model: str | None = None
    deadline_ms: int = 0


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
    """What a plugin of the entry-point group `habitus.models` offers.

    The three steps run on threads of their own, so that tokenising and post-processing overlap
    with inference. A text's vector must not depend on its neighbours in the batch.
    """

    name: str
    dimension: int
    max_length: int
    threshold: float
    licence: str

    def encode_pre(self, texts: list[str]) -> Any:
        """Tokenise: texts → what `encode_core` takes."""
        ...

    def encode_core(self, features: Any) -> Any:
        """Run the model."""
        ...

    def encode_post(self, outputs: Any) -> Any:
        """Pool and normalise: → numpy float32 [n, dimension], rows of length 1."""
        ...

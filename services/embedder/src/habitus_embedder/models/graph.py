# SPDX-License-Identifier: Apache-2.0
"""What a graph wants fed and what it gives, read from the graph: public exports differ."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from habitus_embedder.models.faults import ModelFault

Ids = NDArray[np.int64]
Feed = dict[str, NDArray[Any]]
# Takes token numbers and mask, both [n, t], and returns one input.
_Maker = Callable[[Ids, Ids], NDArray[Any]]

_TYPES: Final[dict[str, Any]] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(bool)": np.bool_,
}
_HIDDEN: Final = ("last_hidden_state", "token_embeddings", "hidden_states")
_POOLED: Final = ("sentence_embedding", "embeddings", "text_embeds")
_TOKEN_RANK: Final = 3


class Graph:
    """The inputs and the one output of a session that serves for embedding.

    Attributes:
        output: the output that is read.
        by_token: whether it has one row a token (and must be pooled) or one a text.
        dimension: numbers a row, or 0 where the graph does not say.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        named = {one.name for one in session.get_inputs()}
        if not {"input_ids", "attention_mask"} <= named:
            raise ModelFault(
                f"the graph takes {', '.join(sorted(named))}: without input_ids and attention_mask "
                "it is no text embedding model"
            )
        self._makers = [(one.name, _maker(one)) for one in session.get_inputs()]
        chosen = _output(session.get_outputs())
        self.output: str = chosen.name
        self.by_token = len(chosen.shape) == _TOKEN_RANK
        last = chosen.shape[-1]
        self.dimension = last if isinstance(last, int) else 0

    def feed(self, ids: Ids, mask: Ids) -> Feed:
        """Return every input of the graph for one batch [n, t]."""
        return {name: make(ids, mask) for name, make in self._makers}

    def run(self, feed: Feed) -> NDArray[Any]:
        """Run the session; returns its one output that is read."""
        outputs: NDArray[Any] = self._session.run([self.output], feed)[0]
        return outputs


def _output(outputs: list[Any]) -> Any:
    """Choose: the hidden states by token where there are any, so that pooling is ours to check."""
    by_name = {one.name: one for one in outputs}
    for name in (*_HIDDEN, *_POOLED):
        if name in by_name:
            return by_name[name]
    raise ModelFault(
        f"the graph gives {', '.join(sorted(by_name)[:8])}: none of {', '.join((*_HIDDEN, *_POOLED))}; "
        "export it for the task feature-extraction"
    )


def _maker(one: Any) -> _Maker:
    if one.type not in _TYPES:
        raise ModelFault(f"the graph's input {one.name} is a {one.type}, which is not served")
    kind = _TYPES[one.type]
    name: str = one.name
    if name.startswith("past_key_values"):
        return _empty_past(one, kind)
    makers: dict[str, _Maker] = {
        "input_ids": lambda ids, _: ids.astype(kind, copy=False),
        "attention_mask": lambda _, mask: mask.astype(kind, copy=False),
        "token_type_ids": lambda ids, _: np.zeros(ids.shape, kind),
        "position_ids": lambda _, mask: positions(mask).astype(kind, copy=False),
        "use_cache_branch": lambda _ids, _mask: np.zeros(1, kind),
    }
    if name not in makers:
        raise ModelFault(f"the graph wants an input {name}, which is not served")
    return makers[name]


def positions(mask: Ids) -> Ids:
    """Return each token's place in its own text, whichever side is padded; pads have place 0."""
    return np.asarray(np.maximum(mask.cumsum(axis=1) - 1, 0) * mask)


def _empty_past(one: Any, kind: Any) -> _Maker:
    """A cache of no tokens: [n, heads, 0, size of a head]."""
    shape = one.shape
    if len(shape) != 4 or not isinstance(shape[1], int) or not isinstance(shape[3], int):  # noqa: PLR2004
        raise ModelFault(f"the graph's input {one.name} has shape {shape}, not [batch, heads, past, size]")
    return lambda ids, _: np.zeros((len(ids), shape[1], 0, shape[3]), kind)

# SPDX-License-Identifier: Apache-2.0
"""Texts to token numbers, by the tokenizer that came with the model."""

from typing import Any, Final

from tokenizers import Tokenizer

from habitus_embedder.models.faults import ModelFault
from habitus_embedder.models.folder import Folder

# What Qwen3-Embedding puts behind every text, and pools at.
_END_OF_TEXT: Final = "<|endoftext|>"


class Tokens:
    """The tokenizer of one folder.

    Args:
        folder: where `tokenizer.json` is.
        max_length: tokens of a text at most, special ones included; the rest is cut.
        end: put the end token behind every text, also where the tokenizer itself would not.
    """

    def __init__(self, folder: Folder, max_length: int, *, end: bool) -> None:
        self._tokenizer = _read(folder)
        self._max = max_length
        # A repository's own padding and truncation are for other uses than ours.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # What is embedded is hostile: `<|endoftext|>` on a command line is text, and no end.
        self._tokenizer.encode_special_tokens = True
        self._end = _end_of(self._tokenizer, folder.config) if end else None
        if self._end is None:
            self._tokenizer.enable_truncation(max_length)
        _refuse_larger_vocabulary(self._tokenizer, folder)

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Return the token numbers of each text; never none: a text without any has its end or a pad."""
        # Lone surrogates cannot be UTF-8, which the tokenizer needs.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encoded = self._tokenizer.encode_batch_fast(clean, add_special_tokens=self._end is None)
        if self._end is None:
            return [one.ids or [0] for one in encoded]
        return [[*one.ids[: self._max - 1], self._end] for one in encoded]


def _read(folder: Folder) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(folder.tokenizer))
    except Exception as error:  # noqa: BLE001  # the library raises plain Exception
        raise ModelFault(f"{folder.tokenizer}: not a tokenizer: {error}") from None


def _end_of(tokenizer: Tokenizer, config: dict[str, Any]) -> int:
    """Return the end token: what the tokenizer's own template appends, else by name, else by config."""
    appended = tokenizer.encode("").ids
    if appended:
        return int(appended[-1])
    named = tokenizer.token_to_id(_END_OF_TEXT)
    if named is not None:
        return int(named)
    configured = config.get("eos_token_id")
    if isinstance(configured, int):
        return configured
    raise ModelFault(
        f"the tokenizer has no {_END_OF_TEXT} and config.json no eos_token_id: its pooling needs an end token"
    )


def _refuse_larger_vocabulary(tokenizer: Tokenizer, folder: Folder) -> None:
    known = folder.config.get("vocab_size")
    used = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    if isinstance(known, int) and used > known:
        raise ModelFault(
            f"{folder.tokenizer}: its tokens go up to {used - 1}, the model knows {known}: "
            "this is another model's tokenizer"
        )

# SPDX-License-Identifier: Apache-2.0
"""Vectors already computed, least recently used out first."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

# A longer text is rarer and its key would take more memory than its vector.
_LONGEST: Final = 4096


class Cache:
    """At most `size` vectors as bytes, by (model, text). For one thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def known(self, model: str, texts: Iterable[str]) -> dict[str, bytes]:
        """Return the vectors that are kept, by text."""
        if not self._rows:
            return {}
        asked = {text: self.get(model, text) for text in texts}
        return {text: row for text, row in asked.items() if row is not None}

    def get(self, model: str, text: str) -> bytes | None:
        """Return the vector, or None."""
        row = self._rows.get((model, text))
        if row is not None:
            self._rows.move_to_end((model, text))
        return row

    def put(self, model: str, rows: dict[str, bytes]) -> None:
        """Keep vectors by text; texts beyond 4096 characters are not kept."""
        if self._size == 0:
            return
        for text, row in rows.items():
            if len(text) > _LONGEST:
                continue
            self._rows[model, text] = row
            self._rows.move_to_end((model, text))
            if len(self._rows) > self._size:
                self._rows.popitem(last=False)

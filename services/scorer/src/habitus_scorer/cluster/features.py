# SPDX-License-Identifier: Apache-2.0
"""An anomaly as a vector: hashed words of its path, reason and arguments. No model is asked.

Feature hashing after Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009).
"""

import re
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from habitus.anomalies import Anomaly

Vector = NDArray[np.float32]

SIZE: Final = 256
"""Numbers of a vector."""

_WORDS: Final = 64
_LONGEST: Final = 200
_VOLATILE: Final = re.compile(r"[0-9a-f]{8,}|\d+")


def words_of(anomaly: Anomaly) -> list[str]:
    """Return what tells an anomaly's kind; numbers and ids in it are typed. At most 64 words."""
    return [word for word, _ in zip(_words(anomaly), range(_WORDS), strict=False)]


def vector_of(words: list[str]) -> Vector:
    """Return a vector of length 1, float32 [256]."""
    vector = np.zeros(SIZE, np.float32)
    for word in words:
        digest = zlib.crc32(word.encode("utf-8", "replace"))
        vector[digest % SIZE] += 1.0 if digest >> 31 else -1.0
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def _words(anomaly: Anomaly) -> Iterator[str]:
    event = anomaly.event
    yield f"reason {anomaly.reason}"
    yield f"op {event.class_} {event.op}"
    for at, part in enumerate(anomaly.path[1:]):  # the first is the image: told apart elsewhere
        yield f"path {min(at, 3)} {_softened(part)}"
    for argument in (event.process.argv if event.process and event.op == "exec" else None) or ():
        yield f"argument {_softened(argument)}"


def _softened(text: str) -> str:
    return _VOLATILE.sub("#", text[:_LONGEST])

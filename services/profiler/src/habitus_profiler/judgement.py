# SPDX-License-Identifier: Apache-2.0
"""What a profile says of an event, and the bounds that it grows and judges within."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from habitus.anomalies import Neighbour, Reason
from habitus.settings import PATH_CHILDREN
from habitus_profiler.forms import Form
from habitus_profiler.leaf import Leaf


class Limits(NamedTuple):
    """Bounds of growth, and the cosine that the settings fix (None: the model's own).

    `path_children` bounds siblings below a prefix; elsewhere `max_children` does.
    """

    max_children: int
    max_vectors: int
    threshold: float | None
    path_children: Mapping[str, int] = PATH_CHILDREN


class Miss(NamedTuple):
    """What the profile does not contain."""

    reason: Reason
    path: list[str]
    detail: str
    usual: list[str]
    nearest: Sequence[Neighbour] = ()
    threshold: float = 0.0


class Echo(NamedTuple):
    """A read or a write of what the profile does not contain, and the file's open said so already."""


class Ask(NamedTuple):
    """A command line that only a vector can decide."""

    leaf: Leaf
    form: Form
    path: list[str]
    key: tuple[object, ...]

# SPDX-License-Identifier: Apache-2.0
"""What a profile says of an event, and the bounds that it grows and judges within."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from habitus.anomalies import Neighbour, Reason
from habitus.settings import PATH_CHILDREN
from habitus_profiler.forms import Form
from habitus_profiler.keys import Key
from habitus_profiler.leaf import Leaf
from habitus_profiler.trie import Found

_USUAL: Final = 8


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
    key: Key | None


def unknown_path(image_key: str, path: tuple[str, ...], found: Found) -> Miss:
    """Return the miss of a path that is known as far as `found` says."""
    above = " → ".join((image_key, *path[: found.depth]))
    first = path[found.depth] if found.depth < len(path) else f"{path[-1]} itself"
    return Miss("unknown-path", [image_key, *path], f"{first}: never seen under {above}", _near(found))


def new_remote(image_key: str, path: tuple[str, ...], found: Found) -> Miss:
    """Return the miss of a peer where another is known on its port."""
    name, way, peer, port = path
    detail = f"{peer}: never seen as {way} peer of {name}, though others are on port {port}"
    return Miss("new-remote", [image_key, *path], detail, _near(found))


def _near(found: Found) -> list[str]:
    return sorted(found.node.children)[:_USUAL]

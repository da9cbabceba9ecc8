# SPDX-License-Identifier: Apache-2.0
"""False positives and misses by threshold, from what profiles learned and a built-in hostile set.

Benign: each learned form of a leaf against the nearest other form of the same leaf, as if it had not
been learned yet. Hostile: each line of the set, said of the leaf's program, against the leaf's nearest
form. Both are what a profile asks its cosine for, before its slots have had their say.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

Vectors = NDArray[np.float32]

# Fewer benign lines say nothing of one in twenty.
FEWEST: Final = 20
_STEP: Final = 0.05


class Leaf(NamedTuple):
    """One process of a profile with its learned forms, two or more."""

    name: str
    forms: list[str]


class Point(BaseModel):
    """Shares at one threshold: benign lines below it, hostile ones at or above it."""

    threshold: float
    false_positives: float
    misses: float


class Calibration(BaseModel):
    """What was measured; `proposed` is None where there were too few benign lines."""

    model: str
    current: float
    benign: int
    hostile: int
    curve: list[Point]
    at_current: Point
    proposed: Point | None


def leaves(process: Mapping[str, Any]) -> list[Leaf]:
    """Return the leaves of a profile's process trie (parent → name → leaf) that have two forms or more."""
    found = [
        Leaf(name, list(leaf.get("arguments", {})))
        for names in process.values()
        for name, leaf in names.items()
    ]
    return [leaf for leaf in found if len(leaf.forms) > 1]


def hostile_of(name: str) -> list[str]:
    """Return the hostile lines for a program: its own, and those that any program can be told."""
    known = _hostile()
    own = known.get("program", {}).get(name, {}).get("lines", [])
    return [*own, *(line.replace("{name}", name) for line in known["any"]["lines"])]


def texts(found: Sequence[Leaf]) -> list[str]:
    """Return every text whose vector `measure` needs, once each."""
    return list(dict.fromkeys(text for leaf in found for text in (*leaf.forms, *hostile_of(leaf.name))))


def measure(found: Sequence[Leaf], vectors: Mapping[str, Vectors], model: str, current: float) -> Calibration:
    """Compute the curve. `vectors` holds a unit row for each of `texts(found)`."""
    benign: list[float] = []
    hostile: list[float] = []
    for leaf in found:
        rows = np.stack([vectors[form] for form in leaf.forms])
        among = rows @ rows.T
        np.fill_diagonal(among, -1)
        benign += among.max(axis=1).tolist()
        lines = [line for line in hostile_of(leaf.name) if line not in leaf.forms]
        if lines:
            hostile += (np.stack([vectors[line] for line in lines]) @ rows.T).max(axis=1).tolist()
    near, far = np.array(benign), np.array(hostile)
    steps = np.arange(round(0.3 / _STEP), round(1 / _STEP) + 1) * _STEP
    return Calibration(
        model=model,
        current=current,
        benign=len(near),
        hostile=len(far),
        curve=[_point(float(step), near, far) for step in steps] if found else [],
        at_current=_point(current, near, far),
        proposed=_proposed(near, far) if len(near) >= FEWEST and len(far) else None,
    )


def _proposed(near: NDArray[np.float64], far: NDArray[np.float64]) -> Point:
    """Take the threshold with the fewest mistakes in share; the middle where a whole range has them."""
    tried = np.arange(30, 100) / 100
    wrong = np.array([(near < one).mean() + (far >= one).mean() for one in tried])
    best = tried[np.isclose(wrong, wrong.min())]
    return _point(float(best[len(best) // 2]), near, far)


def _point(threshold: float, near: NDArray[np.float64], far: NDArray[np.float64]) -> Point:
    return Point(
        threshold=round(threshold, 2),
        false_positives=float((near < threshold).mean()) if len(near) else 0.0,
        misses=float((far >= threshold).mean()) if len(far) else 0.0,
    )


@cache
def _hostile() -> dict[str, Any]:
    return tomllib.loads((files("habitus_console") / "hostile.toml").read_text("utf-8"))

# SPDX-License-Identifier: Apache-2.0
"""A leaf that learned some command lines, and what of another one is news to it."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from habitus_profiler.forms import form_of
from habitus_profiler.leaf import Leaf
from habitus_profiler.slots import Slot


def leaf_of(*lines: str) -> Leaf:
    """Return a leaf that learned these lines, each of the program that it names."""
    leaf = Leaf()
    for line in lines:
        argv = tuple(shlex.split(line))
        leaf.learn(f"/usr/bin/{argv[0]}", form_of(argv))
    return leaf


_DATA: Final = Path(__file__).parents[2] / "services/profiler/tests/data"


def listed(name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (program, its arguments) of a list of flags: a program a line, its flags set apart by ` | `."""
    for line in (_DATA / name).read_text().splitlines():
        if not line.startswith("#"):
            program, _, flags = line.partition(": ")
            yield from ((program, shlex.split(flag)) for flag in flags.split(" | "))


def used_a_little(program: str) -> Leaf:
    """Return a leaf of a program that has run with next to no arguments."""
    return leaf_of(
        program, f"{program} app", f"{program} run", f"{program} -Z x /data/in /data/x.json a.shop.svc"
    )


def novel(leaf: Leaf, line: str) -> list[Slot]:
    """Return the slots of a line that the leaf does not know."""
    return [slot for slot in form_of(tuple(shlex.split(line))).slots if not leaf.slots.knows(slot)]

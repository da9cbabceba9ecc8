# SPDX-License-Identifier: Apache-2.0
"""A leaf that learned some command lines, and what of another one is news to it."""

import shlex

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


def novel(leaf: Leaf, line: str) -> list[Slot]:
    """Return the slots of a line that the leaf does not know."""
    return [slot for slot in form_of(tuple(shlex.split(line))).slots if not leaf.slots.knows(slot)]

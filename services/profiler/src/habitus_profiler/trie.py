# SPDX-License-Identifier: Apache-2.0
"""A prefix trie of names, without I/O.

Boundaries: a path is a sequence of whole names; `/data` knows nothing of `/database`. A path is
known when each of its names is, and the last one was an end of a learned path.

Wildcards: a `Widen` function says for each place into which wildcard a name may fall there, or None
if it must stay by itself; a wildcard falls into itself. When more than `limit` siblings of one node
could fall into the same wildcard, they do: the wildcard takes their place, with the union of what
lay under them, and from then on stands for every name that could fall into it, there. So each name
has exactly one place at any time, what was learned stays known, and the outcome does not depend on
the order of learning. A name that holds a wildcard's spelling literally is escaped by who makes the
path.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

MAX_NODES: Final = 200_000
"""Beyond, a path that does not widen stays news: bounded memory before completeness."""

Widen = Callable[[Sequence[str], str], str | None]
"""(the names above, a name) → the wildcard that the name may fall into at that place, or None."""


def never(above: Sequence[str], name: str) -> str | None:
    """Widen nothing."""
    del above, name
    return None


class Node:
    """One name. `ends` counts how often a learned path ended here."""

    __slots__ = ("children", "ends", "wild")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.ends = 0
        self.wild = False  # whether a child is a wildcard


class Found(NamedTuple):
    """How far a path is known: `node` is the last known node, `depth` how many names led to it."""

    node: Node
    depth: int
    known: bool


class Trie:
    """Paths that were seen, with how often. `size` counts its nodes, the root not included."""

    __slots__ = ("limit", "root", "size", "widen")

    def __init__(self, limit: int, widen: Widen = never) -> None:
        self.limit = limit
        self.widen = widen
        self.root = Node()
        self.size = 0

    def learn(self, path: Sequence[str]) -> int:
        """Add one observation of `path`; return how many nodes are new."""
        node, new = self.root, 0
        for depth, name in enumerate(path):
            child = self._child(node, path[:depth], name)
            if child is None:
                if self.size >= MAX_NODES:
                    return new + 1
                child, new = Node(), new + 1
                node.children[name] = child
                self.size += 1
                if len(node.children) > self.limit:
                    child = self._widened(node, path[:depth], name) or child
            node = child
        new += not new and not node.ends  # a directory of known paths that is now one itself
        node.ends += 1
        return new

    def find(self, path: Sequence[str]) -> Found:
        """Look for `path`."""
        node = self.root
        for depth, name in enumerate(path):
            child = self._child(node, path[:depth], name)
            if child is None:
                return Found(node, depth, known=False)
            node = child
        return Found(node, len(path), node.ends > 0)

    def leaves(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield each learned path with its count, in the order of its names."""
        stack: list[tuple[tuple[str, ...], Node]] = [((), self.root)]
        while stack:
            path, node = stack.pop()
            if node.ends:
                yield path, node.ends
            stack.extend(((*path, name), node.children[name]) for name in sorted(node.children, reverse=True))

    def restore(self, path: Sequence[str], ends: int) -> None:
        """Put back one path of `leaves`, wildcards included."""
        node = self.root
        for depth, name in enumerate(path):
            child = node.children.get(name)
            if child is None:
                child = node.children[name] = Node()
                node.wild = node.wild or self.widen(path[:depth], name) == name
                self.size += 1
            node = child
        node.ends += ends

    def _child(self, node: Node, above: Sequence[str], name: str) -> Node | None:
        child = node.children.get(name)
        if child is not None or not node.wild:
            return child
        wildcard = self.widen(above, name)
        return node.children.get(wildcard) if wildcard else None

    def _widened(self, node: Node, above: Sequence[str], name: str) -> Node | None:
        """Let the siblings of `name` fall into their wildcard if they are too many; return it then."""
        wildcard = self.widen(above, name)
        if wildcard is None:
            return None
        falling = [each for each in node.children if self.widen(above, each) == wildcard]
        if len(falling) <= self.limit:
            return None
        taken = Node()
        for each in falling:
            self._merge(taken, node.children.pop(each))
        node.children[wildcard] = taken
        node.wild = True
        self._settle(taken, (*above, wildcard))
        self.size = sum(1 for _ in _below(self.root))
        return taken

    def _merge(self, into: Node, other: Node) -> None:
        into.ends += other.ends
        into.wild = into.wild or other.wild
        for name, child in other.children.items():
            self._merge(into.children.setdefault(name, Node()), child)

    def _settle(self, node: Node, above: Sequence[str]) -> None:
        """After a union: names that a wildcard beside them stands for, or that are too many, fall."""
        if node.wild:
            for name in list(node.children):
                wildcard = self.widen(above, name)
                if wildcard and wildcard != name and wildcard in node.children:
                    self._merge(node.children[wildcard], node.children.pop(name))
        for name in list(node.children):
            if len(node.children) > self.limit and name in node.children:
                self._widened(node, above, name)
        for name, child in node.children.items():
            self._settle(child, (*above, name))


def _below(node: Node) -> Iterator[Node]:
    stack = list(node.children.values())
    while stack:
        child = stack.pop()
        yield child
        stack.extend(child.children.values())

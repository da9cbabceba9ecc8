# SPDX-License-Identifier: Apache-2.0
"""A prefix trie of names, without I/O.

Boundaries. A path is a sequence of whole names; `/data` says nothing of `/database`. A path is known
when each of its names is and the last one was an end of a learned path: `/data/in/x` says nothing of
`/data/in`. Names are compared exactly, without case folding; what makes names alike (ids, dates,
rotated logs) is done before, by who makes the path.

Wildcards. `Rules.widen` says for each place into which wildcard a name may fall there, or None if it
must stay by itself; a wildcard falls into itself. When more than `Rules.limit` siblings of one node
could fall into the same wildcard, they do: the wildcard takes their place, with the union of what lay
under them, and from then on stands for every name that could fall into it, there and only there. A
wildcard stands for one name, never for several in a row, and never for none.

So each name has exactly one place at any time, and

- what was learned is known, and stays known: a union forgets nothing;
- the outcome does not depend on the order of learning, as long as `MAX_NODES` is not reached;
- a node has at most `limit` children for each wildcard, besides those that must stay by themselves.

A name that holds a wildcard's spelling literally is escaped by who makes the path.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

MAX_NODES: Final = 200_000
"""Beyond, a path that is not there yet stays news: bounded memory before completeness."""


class Rules(Protocol):
    """What may widen in a trie, and when."""

    def widen(self, above: Sequence[str], name: str) -> str | None:
        """Return the wildcard into which `name` may fall below the names `above`, or None."""

    def limit(self, above: Sequence[str], wildcard: str) -> int:
        """Return how many siblings below `above` could fall into `wildcard` before they do."""


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

    __slots__ = ("root", "rules", "size")

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.root = Node()
        self.size = 0

    def learn(self, path: Sequence[str]) -> int:
        """Add one observation of `path`; return how many nodes are new."""
        node, new = self.root, 0
        for depth, name in enumerate(path):
            child = node.children.get(name)
            if child is None and node.wild:
                child = self._wild_child(node, path, depth)
            if child is None:
                if self.size >= MAX_NODES:
                    return new + 1
                child, new = Node(), new + 1
                node.children[name] = child
                self.size += 1
                child = self._widened(node, path[:depth], name) or child
            node = child
        new += not new and not node.ends  # a directory of known paths that is now one itself
        node.ends += 1
        return new

    def find(self, path: Sequence[str]) -> Found:
        """Look for `path`."""
        node = self.root
        for depth, name in enumerate(path):
            child = node.children.get(name)
            if child is None and node.wild:
                child = self._wild_child(node, path, depth)
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
                node.wild = node.wild or self.rules.widen(path[:depth], name) == name
                self.size += 1
            node = child
        node.ends += ends

    def _wild_child(self, node: Node, path: Sequence[str], depth: int) -> Node | None:
        wildcard = self.rules.widen(path[:depth], path[depth])
        return node.children.get(wildcard) if wildcard else None

    def _widened(self, node: Node, above: Sequence[str], name: str) -> Node | None:
        """Let the siblings of `name` fall into their wildcard if they are too many; return it then."""
        wildcard = self.rules.widen(above, name)
        if wildcard is None:
            return None
        limit = self.rules.limit(above, wildcard)
        if len(node.children) <= limit:
            return None
        falling = [each for each in node.children if self.rules.widen(above, each) == wildcard]
        if len(falling) <= limit:
            return None
        taken = Node()
        for each in falling:
            self._merge(taken, node.children.pop(each))
        node.children[wildcard] = taken
        node.wild = True
        self.size += 1
        self._settle(taken, (*above, wildcard))
        return taken

    def _merge(self, into: Node, other: Node) -> None:
        """Put all that is known of `other` into `into`; `other` is gone."""
        self.size -= 1
        into.ends += other.ends
        into.wild = into.wild or other.wild
        for name, child in other.children.items():
            mine = into.children.get(name)
            if mine is None:
                into.children[name] = child
            else:
                self._merge(mine, child)

    def _settle(self, node: Node, above: Sequence[str]) -> None:
        """After a union: names that a wildcard beside them stands for, or that are too many, fall."""
        if node.wild:
            for name in list(node.children):
                wildcard = self.rules.widen(above, name)
                if wildcard and wildcard != name and wildcard in node.children:
                    self._merge(node.children[wildcard], node.children.pop(name))
        for name in list(node.children):
            if name in node.children:
                self._widened(node, above, name)
        for name, child in node.children.items():
            self._settle(child, (*above, name))

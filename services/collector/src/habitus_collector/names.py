# SPDX-License-Identifier: Apache-2.0
"""Which name a container got an address for. Soft state: bounded by number and by time."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

CONTAINERS_LIMIT: Final = 256
ENTRIES_LIMIT: Final = 256
"""Of each kind, for one container: a hostile one pushes out its own only."""
NS: Final = 1_000_000_000
SHORTEST_NS: Final = 60 * NS
"""Programs keep an address for longer than a short time to live says."""
LONGEST_NS: Final = 3600 * NS
_ASKED_NS: Final = 10 * NS
_SAME_NS: Final = NS


class Names:
    """One container's questions and answers. Every `now` is of the boot clock, in nanoseconds."""

    def __init__(self) -> None:
        self._asked: OrderedDict[Hashable, int] = OrderedDict()
        self._told: OrderedDict[Hashable, int] = OrderedDict()
        self._names: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def ask(self, number: int, name: str, pid: int, now: int) -> bool:
        """Remember a question; say whether it is news: a resolver asks for A and AAAA, and again."""
        _put(self._asked, (number, name), now)
        if now - self._told.get((pid, name), -_SAME_NS) < _SAME_NS:
            return False
        _put(self._told, (pid, name), now)
        return True

    def answer(self, number: int, name: str, addresses: list[tuple[str, int]], now: int) -> None:
        """Take an answer in. One that nobody asked for is a forgery, or too old to matter."""
        asked = self._asked.pop((number, name), None)
        if asked is None or now - asked > _ASKED_NS:
            return
        for address, live in addresses:
            lasts = min(max(live * NS, SHORTEST_NS), LONGEST_NS)
            _put(self._names, address, (name, now + lasts))

    def name_of(self, address: str, now: int) -> str | None:
        """Return the name that the container last got this address for, or None."""
        name, until = self._names.get(address, (None, 0))
        return name if now < until else None


class AllNames:
    """The names of every container, by cgroup id; those not heard of for longest go first."""

    def __init__(self) -> None:
        self._by_cgroup: OrderedDict[int, Names] = OrderedDict()

    def of(self, cgroup: int) -> Names:
        """Return one container's names; none yet is no fault."""
        names = self._by_cgroup.get(cgroup)
        if names is None:
            names = self._by_cgroup[cgroup] = Names()
            if len(self._by_cgroup) > CONTAINERS_LIMIT:
                self._by_cgroup.popitem(last=False)
        self._by_cgroup.move_to_end(cgroup)
        return names


def _put(table: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > ENTRIES_LIMIT:
        table.popitem(last=False)

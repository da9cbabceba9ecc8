# SPDX-License-Identifier: Apache-2.0
"""Which name a container was told for an address. Soft state: bounded by number and by time.

The kernel has the same by numbers (bpf/lib/names.h) and mixes them into the tokens of flows. What
is said here and what is said there are changed together, so that the two mean the same.
"""

from collections import OrderedDict
from typing import Final, NamedTuple, Protocol

CONTAINERS_LIMIT: Final = 256
ENTRIES_LIMIT: Final = 256
"""For one container: a hostile one pushes out its own only."""
NS: Final = 1_000_000_000
LASTS_NS: Final = 3600 * NS
"""After the last answer that gave the address: programs keep one for longer than its time to live."""
SWEEP_NS: Final = 60 * NS


class Table(Protocol):
    """The kernel's side: (container's own cgroup, address) → the number of a name."""

    def put(self, root: int, address: str, number: int, now: int) -> None:
        """Set one entry."""

    def drop(self, root: int, address: str) -> None:
        """Remove one entry; none there is no fault."""

    def seen(self, root: int, address: str) -> int:
        """Return when the kernel last saw an answer repeat the entry, 0 for none."""


class Name(NamedTuple):
    """A name, its number in the kernel, and when it was told (boot clock, ns)."""

    text: str
    number: int
    told: int


class Names:
    """The names of every container, by the id of its own cgroup; those not heard of for longest go first.

    Every `now` is of the boot clock, in nanoseconds.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._by_root: OrderedDict[int, OrderedDict[str, Name]] = OrderedDict()
        self._swept = 0

    def learn(self, root: int, text: str, number: int, addresses: list[str], now: int) -> None:
        """Take in an answer that the container asked for."""
        names = self._of(root)
        for address in addresses:
            names[address] = Name(text, number, now)
            names.move_to_end(address)
            self._table.put(root, address, number, now)
            if len(names) > ENTRIES_LIMIT:
                self._table.drop(root, names.popitem(last=False)[0])

    def of(self, root: int, address: str) -> Name | None:
        """Return the name that a container last got this address for, or None."""
        names = self._by_root.get(root)
        return names.get(address) if names else None

    def repair(self, root: int, address: str, now: int) -> None:
        """Tell the kernel again what it has lost or never got: its table is bounded, too."""
        name = self.of(root, address)
        if name:
            self._table.put(root, address, name.number, now)
        else:
            self._table.drop(root, address)

    def sweep(self, now: int) -> None:
        """Once a minute, forget names that no answer gave for an hour."""
        if now - self._swept < SWEEP_NS:
            return
        self._swept = now
        for root, names in self._by_root.items():
            old = [address for address, name in names.items() if now - name.told > LASTS_NS]
            for address in old:
                if now - self._table.seen(root, address) > LASTS_NS:
                    del names[address]
                    self._table.drop(root, address)

    def _of(self, root: int) -> OrderedDict[str, Name]:
        names = self._by_root.setdefault(root, OrderedDict())
        self._by_root.move_to_end(root)
        if len(self._by_root) > CONTAINERS_LIMIT:
            gone, entries = self._by_root.popitem(last=False)
            for address in entries:
                self._table.drop(gone, address)
        return names

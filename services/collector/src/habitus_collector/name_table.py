# SPDX-License-Identifier: Apache-2.0
"""The kernel's table of names: the map `names` of bpf/lib/names.h."""

import logging
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from typing import Final

from habitus_collector.libbpf import LibbpfFault, Map

log = logging.getLogger(__name__)

KEY: Final = struct.Struct("=Q16s")
VALUE: Final = struct.Struct("=QQ")
_MAPPED: Final = bytes(10) + b"\xff\xff"


class NameTable:
    """Writes names where the kernel looks. `find` gives the map, or None where no sensor is loaded."""

    def __init__(self, find: Callable[[str], Map | None]) -> None:
        self._find = find
        self._full = False

    def put(self, root: int, address: str, number: int, now: int) -> None:
        """Set one entry; a map that takes no more is said once, and events go on without it."""
        table = self._find("names")
        if table is None:
            return
        try:
            table.update(key_of(root, address), VALUE.pack(number, now))
        except LibbpfFault as fault:
            if not self._full:
                self._full = True
                log.error("%s", fault)  # noqa: TRY400  # one line, no traceback

    def drop(self, root: int, address: str) -> None:
        """Remove one entry; none there is no fault."""
        table = self._find("names")
        if table is not None:
            table.delete(key_of(root, address))

    def seen(self, root: int, address: str) -> int:
        """Return when an answer last repeated the entry, 0 for none."""
        table = self._find("names")
        value = table.lookup(key_of(root, address)) if table is not None else None
        return int(VALUE.unpack(value)[1]) if value else 0


def key_of(root: int, address: str) -> bytes:
    """Return the key of an address, which the kernel has as 16 bytes."""
    parsed = ip_address(address)
    return KEY.pack(root, _MAPPED + parsed.packed if isinstance(parsed, IPv4Address) else parsed.packed)

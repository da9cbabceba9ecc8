# SPDX-License-Identifier: Apache-2.0
"""How full the ring buffer is: its map shows how far the kernel has written and we have read."""

import mmap
import struct
from typing import Final

from habitus_collector.libbpf import Map

_POSITION: Final = struct.Struct("@L")  # unsigned long, as the kernel's


class RingUse:
    """Two pages of one ring buffer, read without a system call."""

    def __init__(self, ring: Map) -> None:
        self._size = ring.entries
        self._read = _page(ring.fd, 0)
        self._written = _page(ring.fd, mmap.PAGESIZE)

    def share(self) -> float:
        """Return the share in use, 0 … 1."""
        read: int = _POSITION.unpack_from(self._read)[0]
        written: int = _POSITION.unpack_from(self._written)[0]
        return max(0, written - read) / self._size

    def close(self) -> None:
        """Let the pages go."""
        self._read.close()
        self._written.close()


def _page(descriptor: int, offset: int) -> mmap.mmap:
    return mmap.mmap(descriptor, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)

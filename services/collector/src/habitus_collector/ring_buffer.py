# SPDX-License-Identifier: Apache-2.0
"""Reads a ring buffer of BPF programs, by libbpf."""

import ctypes
import errno
from collections.abc import Callable
from typing import NamedTuple

from habitus_collector.libbpf import Libbpf, Map
from habitus_collector.libbpf_functions import Sample


class Drained(NamedTuple):
    """What one look at the ring buffer gave. `more`: there is more, and the fd stays readable."""

    records: int
    more: bool


class RingBuffer:
    """Hands each record to `take` as bytes. `fd` is readable while records wait."""

    def __init__(self, library: Libbpf, ring: Map, take: Callable[[bytes], None], at_once: int = 512) -> None:
        self._library = library
        self._take = take
        self._at_once = at_once
        self._count = 0
        self._error: BaseException | None = None
        self._sample = Sample(self._receive)
        self._pointer: int | None = library.lib.ring_buffer__new(ring.fd, self._sample, None, None)
        if not self._pointer:
            raise library.fault("ring buffer")
        self.fd: int = library.lib.ring_buffer__epoll_fd(self._pointer)

    def drain(self) -> Drained:
        """Take what waits, but at most so many records that the event loop stays responsive."""
        self._count = 0
        code = self._library.lib.ring_buffer__consume(self._pointer)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if code != -errno.EAGAIN:
            self._library.done(code, "ring buffer")
        return Drained(self._count, code == -errno.EAGAIN)

    def close(self) -> None:
        """Release it; safe to call twice."""
        if self._pointer:
            self._library.lib.ring_buffer__free(self._pointer)
            self._pointer = None

    def _receive(self, context: int, data: int, size: int) -> int:
        del context
        self._count += 1
        try:
            self._take(ctypes.string_at(data, size))
        except BaseException as error:  # noqa: BLE001  # must not cross C; drain() raises it
            self._error = error
            return -errno.EIO
        # A negative answer ends this look; the record itself counts as taken.
        return -errno.EAGAIN if self._count >= self._at_once else 0

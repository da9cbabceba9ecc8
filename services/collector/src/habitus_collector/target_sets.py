# SPDX-License-Identifier: Apache-2.0
"""The target set in force: of the settings, or of the bucket TARGETS, which wins, also while running."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import nats.errors
from nats.js.api import KeyValueConfig
from nats.js.errors import Error as JetStreamError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from habitus import subjects
from habitus.bus import Bus
from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus.targets import ALL, TargetFault, Targets
from habitus.text import printable

log = logging.getLogger(__name__)

_FIRST_S: Final = 5.0
_AGAIN_S: Final = 2.0
_READ_S: Final = 60.0
"""What the broker did not tell, as after a restart of its own, is read this often."""
_FAULTS: Final = (nats.errors.Error, JetStreamError, TimeoutError)


def selected(entries: Sequence[Mapping[str, str]]) -> Targets:
    """Return the set of the settings.

    Raises:
        ServiceFault: there is a fault in it; one line that names the key.
    """
    try:
        return Targets(entries)
    except TargetFault as fault:
        raise ServiceFault(f"collector.targets: {fault}") from None


class TargetSets:
    """Watches the bucket and hands each set that comes into force to `select`.

    The node's own key wins over the key `all`, and both over the settings. A value that is no set is
    reported once, and the set before it stays.
    """

    def __init__(self, bus: Bus, settings: CollectorSettings, select: Callable[[Targets], None]) -> None:
        """Check the set of the settings.

        Raises:
            ServiceFault: there is a fault in it.
        """
        self._bus = bus
        self._default = selected(settings.targets)
        self._keys = (subjects.token_of(settings.node), ALL)
        self._select = select
        self._now = self._default
        self._refused: tuple[str, int] | None = None

    async def begin(self) -> None:
        """Put the first set in force, before anything is watched; a broker that is slow is not waited for."""
        try:
            async with asyncio.timeout(_FIRST_S):
                await self._read(await self._bucket())
        except _FAULTS as error:
            log.warning("bucket TARGETS: %s; the settings hold until it answers", _said(error))

    async def run(self) -> None:
        """Follow the bucket for ever."""
        while True:
            try:
                await self._follow(await self._bucket())
            except _FAULTS as error:
                log.debug("bucket TARGETS: %s", _said(error))
            await asyncio.sleep(_AGAIN_S)

    async def _bucket(self) -> KeyValue:
        return await self._bus.js.create_key_value(KeyValueConfig(bucket=subjects.TARGETS))

    async def _follow(self, bucket: KeyValue) -> None:
        watcher = await bucket.watch(">")
        try:
            while True:
                await self._read(bucket)
                try:
                    # What changed is read anew: it may be old by now.
                    await watcher.updates(timeout=_READ_S)  # type: ignore[no-untyped-call]
                except nats.errors.TimeoutError:
                    continue
        finally:
            await watcher.stop()  # type: ignore[no-untyped-call]  # untyped in the client

    async def _read(self, bucket: KeyValue) -> None:
        found = self._default
        for key in self._keys:
            entry = await _entry(bucket, key)
            if entry is not None:
                found = self._set_of(key, entry) or self._now
                break
        if found != self._now:
            self._now = found
            log.info("targets: %s", printable(found.write().decode(), 300) if found.entries else "everything")
        self._select(found)

    def _set_of(self, key: str, entry: KeyValue.Entry) -> Targets | None:
        try:
            return Targets.read(entry.value or b"")
        except TargetFault as fault:
            if self._refused != (key, entry.revision):
                self._refused = (key, entry.revision or 0)
                why = printable(str(fault), 300)
                log.error("bucket TARGETS, key %s: %s; the set before stays", key, why)  # noqa: TRY400
            return None


async def _entry(bucket: KeyValue, key: str) -> KeyValue.Entry | None:
    try:
        return await bucket.get(key)
    except KeyNotFoundError:  # never set, or deleted
        return None


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__

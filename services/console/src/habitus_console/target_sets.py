# SPDX-License-Identifier: Apache-2.0
"""The target sets in the bucket TARGETS: read, written, and changed without losing another's change."""

from typing import Final

import nats.errors
from nats.js.api import KeyValueConfig
from nats.js.errors import Error as JetStreamError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NoKeysError
from nats.js.kv import KeyValue

from habitus import subjects
from habitus.bus import Bus
from habitus.targets import ALL, TargetFault, Targets

_TRIES: Final = 5


class TargetsFault(RuntimeError):
    """The bucket cannot be used, or holds what is no set; the text says what to do, in one line."""


def key_of(node: str | None) -> str:
    """Return the key of a node's own set, or of the set of all nodes."""
    return ALL if node is None else subjects.token_of(node)


class TargetSets:
    """The bucket of one broker."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def all(self) -> dict[str, Targets]:
        """Return every set by its key."""
        bucket = await self._bucket()
        try:
            keys = await bucket.keys()
        except NoKeysError:
            return {}
        found = {key: await self._entry(bucket, key) for key in sorted(keys)}
        return {key: _read(key, entry) for key, entry in found.items() if entry is not None}

    async def put(self, key: str, targets: Targets) -> None:
        """Replace a set."""
        try:
            await (await self._bucket()).put(key, targets.write())
        except (JetStreamError, nats.errors.Error, TimeoutError) as error:
            raise _fault(error) from None

    async def add(self, key: str, entry: dict[str, str]) -> Targets:
        """Add one entry to a set; return the set. Another's change at the same time is not lost.

        Raises:
            TargetFault: the entry is none.
        """
        bucket = await self._bucket()
        for _ in range(_TRIES):
            before = await self._entry(bucket, key)
            entries = [] if before is None else _read(key, before).entries
            targets = Targets([*entries, entry])
            try:
                if before is None:
                    await bucket.create(key, targets.write())
                else:
                    await bucket.update(key, targets.write(), last=before.revision)
            except KeyWrongLastSequenceError:
                continue
            except (JetStreamError, nats.errors.Error, TimeoutError) as error:
                raise _fault(error) from None
            return targets
        raise TargetsFault(f"others change the set of {key} all the time; try again")

    async def clear(self, key: str) -> None:
        """Remove a set."""
        try:
            await (await self._bucket()).delete(key)
        except (JetStreamError, nats.errors.Error, TimeoutError) as error:
            raise _fault(error) from None

    async def _bucket(self) -> KeyValue:
        try:
            return await self._bus.js.create_key_value(KeyValueConfig(bucket=subjects.TARGETS))
        except (JetStreamError, nats.errors.Error, TimeoutError) as error:
            raise _fault(error) from None

    async def _entry(self, bucket: KeyValue, key: str) -> KeyValue.Entry | None:
        try:
            return await bucket.get(key)
        except KeyNotFoundError:
            return None
        except (JetStreamError, nats.errors.Error, TimeoutError) as error:
            raise _fault(error) from None


def _read(key: str, entry: KeyValue.Entry) -> Targets:
    try:
        return Targets.read(entry.value or b"")
    except TargetFault as fault:
        advice = "write it anew with `habitus targets set`, or remove it with `habitus targets clear`"
        where = "" if key == ALL else f" --node {key}"
        raise TargetsFault(f"bucket TARGETS, key {key}: {fault}; {advice}{where}") from None


def _fault(error: Exception) -> TargetsFault:
    said = str(error) or type(error).__name__
    return TargetsFault(f"bucket TARGETS: {said}; is JetStream switched on at this broker?")

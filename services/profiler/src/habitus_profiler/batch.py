# SPDX-License-Identifier: Apache-2.0
"""One message of EVENTS: a glance at each of its events, and the whole of those that need it.

What is known at a glance is not read further, so that what is amiss in its other parts goes unnoticed. An
event that cannot be read takes nothing of its message with it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from habitus import wire
from habitus.events import Container, Event
from habitus.images import image_key
from habitus_profiler.glance import AnyGlance

Image = tuple[str | None, str | None]
"""Reference and digest, as a container names them."""


class Place(NamedTuple):
    """Where an event happened: the image's key, and the container's id. `image`: None where none is named."""

    key: str
    container: str | None
    image: Image


class _Glances(wire.Message):
    events: list[AnyGlance]
    losses: list[wire.Loss] = msgspec.field(default_factory=list)


class _Unread(wire.Message):
    events: list[msgspec.Raw]
    losses: list[wire.Loss] = msgspec.field(default_factory=list)


UNREAD: Final = -1
"""Stands for the place of an event that cannot be read."""

_FAULTS: Final = (msgspec.DecodeError, ValueError, RecursionError)
_glance: Final = msgspec.msgpack.Decoder(AnyGlance)
_event: Final = msgspec.msgpack.Decoder(Event)
_container: Final = msgspec.msgpack.Decoder(Container)


class Batch:
    """The events of one message, in their order: `glances[i]` was seen at `places[where[i]]`.

    Of an event that cannot be read there is no glance, and its place is `UNREAD`.
    """

    __slots__ = ("_data", "_unread", "glances", "losses", "places", "where")

    def __init__(self, data: bytes) -> None:
        """Read a message.

        Raises:
            WireFault: it is none, or of another schema.
        """
        self._data = data
        self._unread: list[msgspec.Raw] | None = None
        self.glances: list[AnyGlance] | list[AnyGlance | None]
        try:
            read = wire.decode(_Glances, data)
            self.places, self.where = _places(read.events)
            self.glances, self.losses = read.events, read.losses
        except (wire.WireFault, *_FAULTS):
            self._each(data)

    def _each(self, data: bytes) -> None:
        """Read event by event what cannot be read at once."""
        try:
            unread = wire.decode(_Unread, data)
        except wire.WireFault:
            wire.decode(wire.EventBatch, data)  # says what is wrong with the whole
            raise
        self._unread, self.losses = unread.events, unread.losses
        self.glances = [_glanced(raw) for raw in unread.events]
        self.places, self.where = _places(self.glances)

    @property
    def images(self) -> set[Image]:
        """The images of the events."""
        return {place.image for place in self.places}

    def raw(self, at: int) -> bytes:
        """Return one event as it stands in the message."""
        if self._unread is None:
            self._unread = wire.decode(_Unread, self._data).events
        return bytes(self._unread[at])

    def whole(self, at: int) -> Event:
        """Return one event with all its parts.

        Raises:
            WireFault: it cannot be read.
        """
        try:
            return _event.decode(self.raw(at))
        except _FAULTS as fault:
            raise wire.WireFault(f"event {at + 1} cannot be read: {fault}") from None


def _glanced(raw: msgspec.Raw) -> AnyGlance | None:
    """Return what an event shows at a glance, None where it cannot be read or nobody says whose it is."""
    try:
        glance: AnyGlance = _glance.decode(raw)
        _place(bytes(glance.container))
    except _FAULTS:
        return None
    return glance


def _places(glances: Sequence[AnyGlance | None]) -> tuple[list[Place], list[int]]:
    """Return each place once, and the index of that of each event."""
    places: dict[Place, int] = {}
    where, before, at = [], None, 0
    for glance in glances:
        if glance is None:
            where.append(UNREAD)
            continue
        if glance.container != before:
            before = glance.container
            at = places.setdefault(_place(bytes(before)), len(places))
        where.append(at)
    return list(places), where


@lru_cache(maxsize=4096)
def _place(data: bytes) -> Place:
    container = _container.decode(data)
    image = container.image, container.image_digest
    return Place(image_key(container.image or "", container.image_digest), container.id, image)

# SPDX-License-Identifier: Apache-2.0
"""One message of EVENTS: a glance at each of its events, and the whole of those that need it.

What is known at a glance is not read further, so that what is amiss in its other parts goes unnoticed.
"""

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


_event: Final = msgspec.msgpack.Decoder(Event)
_container: Final = msgspec.msgpack.Decoder(Container)


class Batch:
    """The events of one message, in their order: `glances[i]` was seen at `places[where[i]]`."""

    __slots__ = ("_data", "_unread", "glances", "losses", "places", "where")

    def __init__(self, data: bytes) -> None:
        """Read a message.

        Raises:
            WireFault: it is none, or of another schema.
        """
        self._data = data
        self._unread: list[msgspec.Raw] | None = None
        try:
            read = wire.decode(_Glances, data)
            self.places, self.where = _places(read.events)
        except (wire.WireFault, msgspec.DecodeError) as fault:
            wire.decode(wire.EventBatch, data)  # says what is wrong with the whole
            raise wire.WireFault(str(fault)) from None
        self.glances = read.events
        self.losses = read.losses

    @property
    def images(self) -> set[Image]:
        """The images of the events."""
        return {place.image for place in self.places}

    def whole(self, at: int) -> Event:
        """Return one event with all its parts.

        Raises:
            WireFault: it cannot be read.
        """
        if self._unread is None:
            self._unread = wire.decode(_Unread, self._data).events
        try:
            return _event.decode(self._unread[at])
        except (msgspec.DecodeError, ValueError, RecursionError) as fault:
            raise wire.WireFault(f"event {at + 1} cannot be read: {fault}") from None


def _places(glances: list[AnyGlance]) -> tuple[list[Place], list[int]]:
    """Return each place once, and the index of that of each event."""
    places: dict[Place, int] = {}
    where, before, at = [], None, 0
    for glance in glances:
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

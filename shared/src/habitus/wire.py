# SPDX-License-Identifier: Apache-2.0
"""Msgpack messages between services. Each carries a schema version; an unknown major is refused."""

from typing import Final, TypeVar

import msgspec

from habitus.events import Event

SCHEMA: Final = "1.0"
M = TypeVar("M", bound="Message")


class WireFault(ValueError):
    """A message that cannot be read; the text says why in one line."""


class Message(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Anything that crosses the bus as msgpack."""

    schema: str = msgspec.field(default="")


class EventBatch(Message):
    """Events of one class and partition, in the order in which they were seen."""

    events: list[Event]
    losses: list["Loss"] = []

    @property
    def images(self) -> set[tuple[str | None, str | None]]:
        """Reference and digest of the images that events are of."""
        return {(event.container.image, event.container.image_digest) for event in self.events}


AWAY: Final = "collector"
"""Class of a `Loss` in which no collector ran at all: its count is 1, for nobody knows more."""


class Loss(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Events of one class that a node could not keep between two moments (nanoseconds since the epoch).

    `image` is the key of the profile that must not trust this interval; `count` may be of several
    images where the kernel could not tell whose they were.
    """

    id: str
    node: str
    image: str
    class_: str
    count: int
    since: int
    until: int


class Verdicts(Message):
    """Profiler → the collector of one node: these events are contained in a profile's revision."""

    image: str
    revision: int
    tokens: list[bytes]


class Revisions(Message):
    """Profiler → every collector: the revisions in force, by image key. 0: nothing is known any more.

    A collector forgets a revision that is not repeated within `lease_s`.
    """

    images: dict[str, int]
    lease_s: float


class _Envelope(msgspec.Struct):
    schema: str = ""


_encoder = msgspec.msgpack.Encoder()
_envelope = msgspec.msgpack.Decoder(_Envelope)
_decoders: dict[type[Message], msgspec.msgpack.Decoder[Message]] = {}


def encode(message: Message) -> bytes:
    """Return the message as msgpack, stamped with this schema version."""
    message.schema = SCHEMA
    return _encoder.encode(message)


def decode(kind: type[M], data: bytes) -> M:
    """Read one message.

    Raises:
        WireFault: not msgpack, not of this kind, or of another major schema version.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        message = decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise WireFault(_why(kind, data, error)) from None
    if not _same_major(message.schema):
        raise WireFault(_version_fault(kind, message.schema))
    return message  # type: ignore[return-value]  # the decoder of `kind` returns a `kind`


def _why(kind: type[Message], data: bytes, error: Exception) -> str:
    # A newer major may have another shape: its version explains more than the shape's error.
    try:
        version = _envelope.decode(data).schema
    except (msgspec.DecodeError, ValueError, RecursionError):
        return f"not a {kind.__name__} message: {error}"
    return (
        f"not a {kind.__name__} message: {error}" if _same_major(version) else _version_fault(kind, version)
    )


def _version_fault(kind: type[Message], version: str) -> str:
    major = SCHEMA.split(".", 1)[0]
    return f"{kind.__name__} has schema version {version or 'none'!r}; this service reads {major}.x"


def _same_major(version: str) -> bool:
    return version.split(".", 1)[0] == SCHEMA.split(".", 1)[0]

# SPDX-License-Identifier: Apache-2.0
"""The anomaly: an event that a profile in detect does not contain, with the reason.

`new-remote` is a peer that the process never spoke to, on a port on which it speaks to others.
`blind-interval` is no departure: events of the image were lost, and any of them may have been one.
"""

from typing import Literal

import msgspec

from habitus.events import Event
from habitus.wire import Message

Reason = Literal[
    "unknown-path", "new-remote", "unknown-argument", "novel-slot", "blind-interval", "usage-jump"
]


class Neighbour(msgspec.Struct, gc=False):
    """A known leaf text and its cosine to the anomalous one."""

    text: str
    cosine: float


class Anomaly(Message):
    """One departure from a profile.

    Attributes:
        id: deterministic: the event's id and the reason, so that a redelivery is no second anomaly.
        event: the event itself.
        image_key: the profile that does not contain it.
        revision: that profile's revision.
        reason: which step failed; `usage-jump`: far more processor than was usual.
        path: the trie path that was looked for, from the image down.
        detail: one line for a person: the first unknown node, the novel slot, the best cosine.
        usual: a few known siblings (paths or normal forms), as context for people and engines.
        nearest: known leaves nearest to the event, best first.
        model, threshold: of `nearest`: whose vectors they are, and the cosine from which a text means the
            same. Empty and 0 where no vector was asked.
        confidence: 0 … 1: how sure the profile is that the event is news (its convergence).
        detected: nanoseconds since the epoch.
        replicas: containers of this image that the profiler knows to live now; 0 where it does not say.
        habits: the keys, in the profiler's own words, of what slow tuning may take into the profile.
    """

    id: str
    event: Event
    image_key: str
    revision: int
    reason: Reason
    path: list[str]
    detail: str
    usual: list[str] = msgspec.field(default_factory=list)
    nearest: list[Neighbour] = msgspec.field(default_factory=list)
    confidence: float = 1.0
    detected: int = 0
    replicas: int = 0
    habits: list[str] = msgspec.field(default_factory=list)
    model: str = ""
    threshold: float = 0.0

# SPDX-License-Identifier: Apache-2.0
"""Makes anomalies of intervals in which events of an image were lost."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, get_args

from habitus.anomalies import Anomaly
from habitus.events import Container, Event, EventClass, Lost
from habitus.text import printable
from habitus.wire import AWAY, Loss

_CLASSES: Final = frozenset(get_args(EventClass))
_CLASSES_AT_MOST: Final = 16
_LONGEST: Final = 200
_LATEST: Final = 2**62  # in nanoseconds: the year 2116


def by_image(losses: Iterable[Loss]) -> dict[str, list[Loss]]:
    """Return the losses of each image; what counts nothing is left out."""
    found: dict[str, list[Loss]] = {}
    for loss in losses:
        if loss.count > 0:
            found.setdefault(loss.image, []).append(loss)
    return found


def count_of(losses: Sequence[Loss]) -> int:
    """Return how many events were lost."""
    return sum(loss.count for loss in losses)


def interval_of(losses: Sequence[Loss], image_key: str, revision: int) -> Anomaly:
    """Return the anomaly of one image's losses, which were told together.

    Its id is that of the first, so a redelivery makes no second one. Its event is none that was seen:
    op `lost`, of the class that lost most, at the end of the interval.
    """
    counts: Counter[str] = Counter()
    for loss in losses:
        class_ = printable(loss.class_, 32)
        counts[class_ if class_ in counts or len(counts) < _CLASSES_AT_MOST else "other"] += loss.count
    since = min(min(max(0, loss.since), _LATEST) for loss in losses)
    until = max(since, *(min(loss.until, _LATEST) for loss in losses))
    node = losses[0].node
    event = Event(
        ts=until,
        node=node,
        class_=_class_of(counts),
        op="lost",
        container=Container(image=image_key),
        lost=Lost(counts=dict(counts), since=since, until=until),
        id=losses[0].id,
    )
    return Anomaly(
        id=f"{losses[0].id}:blind-interval",
        event=event,
        image_key=image_key,
        revision=revision,
        reason="blind-interval",
        path=[image_key, "blind-interval"],
        detail=_told(counts, since, until, node),
        detected=time.time_ns(),
    )


def _class_of(counts: Counter[str]) -> EventClass:
    for class_, _ in counts.most_common():
        if class_ in _CLASSES:
            return class_  # type: ignore[return-value]  # it is one of them
    return "process"


def _told(counts: Counter[str], since: int, until: int, node: str) -> str:
    events = Counter({class_: count for class_, count in counts.items() if class_ != AWAY})
    kinds = ", ".join(f"{class_} {count}" for class_, count in events.most_common())
    told = [f"{events.total()} events lost ({kinds})"] if events else []
    told += ["nothing was watched, for no collector ran,"] if AWAY in counts else []
    where = printable(node, _LONGEST)
    return f"{' and '.join(told)} on node {where} from {_clock(since)} to {_clock(until)}"


def _clock(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"

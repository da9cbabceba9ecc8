# SPDX-License-Identifier: Apache-2.0
"""How many containers an image has, and when one of them uses far more processor than was usual."""

from habitus.events import Container, Event, Usage
from habitus_profiler.fleet import ALIVE_NS, Fleet

SECOND = 10**9


def reading(cores: float, seconds: float = 0, container: str = "a") -> Event:
    return Event(
        ts=int(seconds * SECOND),
        class_="cpu",
        op="usage",
        container=Container(id=container, image="web:1"),
        usage=Usage(cores=cores, window_s=5),
    )


def learned(*cores: float) -> Fleet:
    fleet = Fleet()
    for each in cores:
        fleet.learn(reading(each))
    return fleet


def told(fleet: Fleet, *cores: float, container: str = "a") -> list[bool]:
    return [fleet.jump(reading(each, container=container)) is not None for each in cores]


def test_a_jump_is_told_at_its_second_reading_once():
    """A burst that passes is none; what lasts is told once, and again after it was back."""
    fleet = learned(0.1, 0.3, 0.2)
    assert told(fleet, 0.9, 0.2, 0.9, 0.9, 1.9, 0.3, 1.0, 1.0) == [
        False, False, False, True, False, False, False, True,
    ]  # fmt: skip
    assert fleet.jump(reading(2.0, container="b")) is None
    assert fleet.jump(reading(2.0, container="b")) == "2.00 cores over 5 s; at most 0.30 were usual"


def test_the_threshold_is_twice_the_peak_and_half_a_core_more():
    """A busy image may not double, an idle one may use half a core more."""
    assert told(learned(2.0, 2.0, 2.0), 3.9, 3.9) == [False, False]
    assert told(learned(2.0, 2.0, 2.0), 4.0, 4.0) == [False, True]
    assert told(learned(0.0, 0.0, 0.0), 0.49, 0.49) == [False, False]


def test_without_readings_nothing_is_told():
    """An image whose processor use was never learned has no usual use."""
    assert told(learned(0.1, 0.1), 9, 9, 9) == [False, False, False]


def test_containers_count_while_they_are_heard_of():
    """A container leaves the count five minutes after its last event."""
    fleet = Fleet()
    fleet.meet(reading(0, 0, "a"))
    fleet.meet(reading(0, 1, "b"))
    assert fleet.replicas == 2
    fleet.meet(reading(0, ALIVE_NS / SECOND + 0.5, "b"))
    assert fleet.replicas == 1
    fleet.meet(Event(ts=0, class_="cpu", op="usage", container=Container(image="web:1")))
    assert fleet.replicas == 1

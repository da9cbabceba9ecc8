# SPDX-License-Identifier: Apache-2.0
"""What losses do to a profile that learns, and to one that judges."""

import pytest

from habitus import subjects, wire
from habitus.images import partition_of
from habitus.publish import Batcher
from habitus_profiler import blind

IMAGE = "webapp:v1"
START = 1_764_000_000 * 10**9
SECOND = 10**9


def loss(class_="process", count=5, *, image=IMAGE, since=START, until=START + SECOND, name="l1"):
    return wire.Loss(id=name, node="n1", image=image, class_=class_, count=count, since=since, until=until)


async def told(stack, *losses, partition=None):
    """Publish as a collector does, and return the sequence."""
    payload = wire.encode(wire.EventBatch(events=[], losses=list(losses)))
    partition = partition_of(IMAGE) if partition is None else partition
    ack = await stack.bus.js.publish(subjects.events("loss", partition), payload)
    return ack.seq


def habits(make, first, last):
    return [make(["java", "-jar", "/app/app.jar"], at=at) for at in range(first, last)]


async def summary(stack):
    return (await stack.ask("list")).summaries[0]


async def test_a_window_with_losses_does_not_converge_and_a_whole_one_after_it_does(stack, embedder, make):
    await stack.start(window_s=60, min_events=30)
    await stack.feed(habits(make, 0, 55))
    after = await told(stack, loss(), loss("file", 2, name="l2"))
    await stack.ask("sync", after=after)
    assert (await summary(stack)).convergence.losses == 7
    await stack.ask("sync", after=await stack.feed(habits(make, 55, 110)))
    assert (await summary(stack)).state == "learn"
    await stack.ask("sync", after=await stack.feed(habits(make, 110, 120)))
    found = await summary(stack)

    assert (found.state, found.convergence.losses) == ("detect", 0)
    assert await stack.anomalies() == []


async def test_losses_are_remembered_over_a_kill_and_counted_once(stack, embedder, make):
    await stack.start(window_s=60, min_events=30)
    await stack.feed(habits(make, 0, 10))
    await stack.ask("sync", after=await told(stack, loss()))

    async def kept():
        return (await stack.bus.js.stream_info(subjects.EVENTS)).state.messages == 0

    await stack.until(kept)
    stack.kill()
    await stack.start(window_s=60, min_events=30)

    assert (await summary(stack)).convergence.losses == 5


async def test_in_detect_it_is_one_anomaly_with_interval_classes_and_counts(stack, embedder, make):
    await stack.start()
    reply = await stack.ask("converge", after=await stack.feed(habits(make, 0, 20)))
    both = (loss(), loss("file", 2, until=START + 3 * SECOND, name="l2"))
    await told(stack, *both)
    await stack.ask("sync", after=await told(stack, *both))  # comes again
    (anomaly,) = await stack.anomalies()

    assert (anomaly.reason, anomaly.id) == ("blind-interval", "l1:blind-interval")
    assert (anomaly.image_key, anomaly.revision) == (IMAGE, reply.summaries[0].revision)
    assert anomaly.detail == (
        "7 events lost (process 5, file 2) on node n1"
        " from 2025-11-24 16:00:00.000Z to 2025-11-24 16:00:03.000Z"
    )
    lost = anomaly.event.lost
    assert (lost.counts, lost.since, lost.until) == ({"process": 5, "file": 2}, START, START + 3 * SECOND)
    assert (await summary(stack)).state == "detect"


async def test_a_frozen_partition_alerts_for_an_image_that_it_never_saw(stack, embedder, make):
    await stack.start()
    await stack.ask("converge", after=await stack.feed(habits(make, 0, 5)), freeze=True)
    other = next(
        name for name in map("other:{}".format, range(999)) if partition_of(name) == partition_of(IMAGE)
    )
    await stack.ask("sync", after=await told(stack, loss(image=other)))
    (anomaly,) = await stack.anomalies()

    assert (anomaly.image_key, anomaly.revision) == (other, 0)


async def test_losses_of_another_partition_or_of_nothing_change_nothing(stack, embedder, make):
    await stack.start()
    await stack.ask("converge", after=await stack.feed(habits(make, 0, 5)))
    wrong = (partition_of(IMAGE) + 1) % 32
    await told(stack, loss(), partition=wrong)
    after = await told(stack, loss(count=0), loss(count=-3))
    await stack.ask("sync", after=after)

    assert await stack.anomalies() == []
    assert len((await stack.ask("list")).summaries) == 1


@pytest.mark.parametrize(("since", "until"), [(-1, -5), (2**63 - 1, 0), (0, 2**63 - 1), (5, 4)])
def test_any_interval_can_be_told(since, until):
    anomaly = blind.interval_of([loss(since=since, until=until)], IMAGE, 1)

    assert 0 <= anomaly.event.lost.since <= anomaly.event.lost.until
    assert "\n" not in anomaly.detail


def test_names_of_classes_are_bounded_and_safe_to_show():
    many = [loss(f"\x1b[31m{number}" * 50, name=f"l{number}") for number in range(100)]
    anomaly = blind.interval_of(many, IMAGE, 1)

    assert len(anomaly.event.lost.counts) <= 17
    assert sum(anomaly.event.lost.counts.values()) == 500
    assert "\x1b" not in anomaly.detail


def test_a_batcher_sends_losses_to_the_partition_of_their_image():
    batcher = Batcher("n1")
    batcher.lost(loss(name=""))
    (batch,) = batcher.take(10)
    (found,) = wire.decode(wire.EventBatch, batch.payload).losses

    assert batch.subject == subjects.events("loss", partition_of(IMAGE))
    assert found.id.endswith("-l1")
    assert not batcher.some


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([loss(wire.AWAY, 1)], "nothing was watched, for no collector ran, on node n1 from "),
        (
            [loss(), loss(wire.AWAY, 1, name="l2")],
            "5 events lost (process 5) and nothing was watched, for no collector ran, on node n1 from ",
        ),
    ],
)
def test_the_time_without_a_collector_is_told_as_such(losses, says):
    anomaly = blind.interval_of(losses, IMAGE, 1)

    assert anomaly.reason == "blind-interval"
    assert anomaly.detail.startswith(says)

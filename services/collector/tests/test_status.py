# SPDX-License-Identifier: Apache-2.0
"""What a collector that starts finds of the one before it."""

import asyncio
import time

import pytest
from nats.js.api import KeyValueConfig

from habitus import subjects, wire
from habitus.nodes import NodeStatus
from habitus_collector.loaders import LoaderStatus
from habitus_collector.losses import Losses
from habitus_collector.status import StatusReporter


class Watching:
    """A loader that watches one image, and an outlet that keeps the notices."""

    name = "none"
    verdicts = None
    events: dict[str, int] = {}  # noqa: RUF012  # never written
    queued = spooled = 0
    waiting_since = None

    def __init__(self):
        self.told = []
        self.heard = asyncio.Event()

    def status(self):
        return LoaderStatus(images=["web:v1"])

    def lost(self, losses):
        self.told += losses
        self.heard.set()


@pytest.mark.parametrize("before", ["status", "none", "nonsense"])
async def test_the_time_since_the_last_status_is_a_loss_of_each_watched_image(bus, before):
    ended = time.time_ns() - 60 * 10**9
    status = NodeStatus(node="n.1", loader="core", updated=ended).model_dump_json().encode()
    if before != "none":
        bucket = await bus.js.create_key_value(KeyValueConfig(bucket=subjects.NODES))
        await bucket.put(subjects.token_of("n.1"), status if before == "status" else b"{")
    watching, started = Watching(), asyncio.Event()
    reporter = StatusReporter(bus, "n.1", watching, watching, Losses("n.1"))
    task = asyncio.create_task(reporter.run(started))
    started.set()
    await asyncio.wait_for(watching.heard.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    told = [(loss.image, loss.class_, loss.count, loss.since) for loss in watching.told]
    assert told == ([("web:v1", wire.AWAY, 1, ended)] if before == "status" else [])

# SPDX-License-Identifier: Apache-2.0
"""The target set in force: the bucket wins over the settings, a bad value over nothing."""

import asyncio
import contextlib
import logging

import pytest

from habitus import subjects
from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus.targets import Targets
from habitus_collector.target_sets import TargetSets

SHOP, WEB, BLUE = [{"namespace": "shop"}], [{"image": "webapp:*"}], [{"label": "tier=blue"}]


async def until(holds):
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it does not come")


class Selected:
    """What came into force; a test waits for it."""

    def __init__(self):
        self.sets = []

    def __call__(self, targets):
        self.sets.append(targets)

    async def becomes(self, entries):
        await until(lambda: bool(self.sets) and self.sets[-1] == Targets(entries))


@pytest.fixture
def selected():
    return Selected()


@pytest.fixture
async def bucket(bus):
    return await bus.js.create_key_value(bucket=subjects.TARGETS)


@pytest.fixture
def started(bus, selected):
    """Begin with some settings and follow the bucket."""

    @contextlib.asynccontextmanager
    async def start(node="n 1", targets=()):
        sets = TargetSets(bus, CollectorSettings(node=node, targets=list(targets)), selected)
        await sets.begin()
        task = asyncio.create_task(sets.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return start


async def test_without_a_bucket_the_settings_hold(started, selected):
    async with started(targets=SHOP):
        assert selected.sets[0] == Targets(SHOP)


async def test_the_bucket_wins_before_anything_is_watched(started, selected, bucket):
    await bucket.put("all", Targets(WEB).write())

    async with started(targets=SHOP):
        assert selected.sets == [Targets(WEB)]


async def test_a_set_changes_while_it_is_followed_and_the_nodes_own_wins(started, selected, bucket):
    async with started(targets=SHOP):
        await bucket.put("all", Targets(WEB).write())
        await selected.becomes(WEB)
        await bucket.put("n_1", Targets(BLUE).write())
        await selected.becomes(BLUE)
        await bucket.put("n2", Targets(WEB).write())  # another node's
        await bucket.delete("n_1")
        await selected.becomes(WEB)
        await bucket.put("all", b"[]")
        await selected.becomes([])
        await bucket.delete("all")
        await selected.becomes(SHOP)


async def test_a_bad_value_is_said_once_and_the_set_before_stays(started, selected, bucket, caplog):
    await bucket.put("all", Targets(WEB).write())
    with caplog.at_level(logging.ERROR):
        async with started():
            await bucket.put("all", b'[{"nmespace": "\x1b[2J"}]')
            await until(lambda: bool(caplog.records))
            await bucket.put("n2", b"[]")  # another reason to read
            await asyncio.sleep(0.2)
            assert selected.sets[-1] == Targets(WEB)
            await bucket.put("all", Targets(BLUE).write())
            await selected.becomes(BLUE)

    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith("bucket TARGETS, key all: ")
    assert said.endswith("; the set before stays")
    assert "\x1b" not in said


async def test_a_broker_that_went_away_is_followed_again(bus, started, selected, bucket, monkeypatch):
    monkeypatch.setattr("habitus_collector.target_sets._AGAIN_S", 0.05)
    async with started():
        await bus.js.delete_stream("KV_TARGETS")
        again = await bus.js.create_key_value(bucket=subjects.TARGETS)
        monkeypatch.setattr("habitus_collector.target_sets._READ_S", 0.05)
        await again.put("all", Targets(WEB).write())
        await selected.becomes(WEB)


def test_a_bad_set_in_the_settings_ends_the_start_in_one_line():
    settings = CollectorSettings(targets=[{"namespace": "shop"}, {"nmespace": "x"}])

    with pytest.raises(ServiceFault, match=r"collector\.targets: entry 2: no key 'nmespace'"):
        TargetSets(None, settings, print)

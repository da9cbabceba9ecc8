# SPDX-License-Identifier: Apache-2.0
"""A stream of events that breaks, ends, fails or has no socket is opened again, and never in a rush."""

import asyncio

import pytest

from habitus_collector.discovery import DiscoveryFault, following


class Runtime:
    """Gives each attempt its turn: an error to raise, or None for a stream that ends. Then it stays open."""

    def __init__(self, *turns):
        self.turns, self.there, self.attempts, self.said = list(turns), True, 0, []
        self.open = asyncio.Event()

    async def follow(self):
        self.attempts += 1
        if not self.turns:
            self.open.set()
            await asyncio.Event().wait()
        turn = self.turns.pop(0)
        if turn:
            raise turn

    async def until_open(self):
        task = asyncio.create_task(
            following.keep(lambda: self.there, self.follow, lambda fault: self.said.append(str(fault)))
        )
        await asyncio.wait_for(self.open.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def pauses(monkeypatch):
    """Notes the pauses, and makes each one short."""
    noted, sleep = [], asyncio.sleep

    async def short(seconds):
        noted.append(seconds)
        await sleep(0)

    monkeypatch.setattr(following.asyncio, "sleep", short)
    return noted


async def test_a_stream_that_fails_again_and_again_is_tried_ever_more_rarely(pauses):
    runtime = Runtime(*[DiscoveryFault("refused")] * 8)

    await runtime.until_open()

    assert runtime.said == ["refused"] * 8
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]


async def test_a_stream_that_ends_is_opened_again_without_a_word(pauses):
    runtime = Runtime(None, None)

    await runtime.until_open()

    assert (runtime.attempts, runtime.said) == (3, [])


async def test_a_fault_of_our_own_is_said_in_one_line_and_ends_nothing(pauses):
    runtime = Runtime(KeyError("a\nb"), RuntimeError("x\ny"))

    await runtime.until_open()

    assert runtime.said == [r"KeyError: 'a\nb'", "RuntimeError: x"]


async def test_a_runtime_without_a_socket_is_looked_for_and_not_asked(monkeypatch):
    runtime, sleep = Runtime(), asyncio.sleep
    runtime.there = False
    looked = []

    async def comes(seconds):
        looked.append(seconds)
        runtime.there = len(looked) == 3
        await sleep(0)

    monkeypatch.setattr(following.asyncio, "sleep", comes)
    await runtime.until_open()

    assert looked == [5, 5, 5]
    assert runtime.attempts == 1

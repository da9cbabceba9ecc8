# SPDX-License-Identifier: Apache-2.0
"""The parts of the collector that run side by side."""

import asyncio

import pytest

from habitus.service import ServiceFault
from habitus_collector.__main__ import _beside


async def breaks():
    await asyncio.sleep(0)
    raise KeyError("x")


async def goes_on():
    await asyncio.Event().wait()


async def returns():
    pass


async def test_a_part_that_fails_stops_the_collector_and_is_named():
    stop = asyncio.Event()
    with pytest.raises(ServiceFault, match="stopped: KeyError"):
        async with _beside([goes_on(), breaks()], stop):
            await asyncio.wait_for(stop.wait(), 5)


async def test_a_part_that_is_done_stops_nothing():
    stop = asyncio.Event()
    async with _beside([goes_on(), returns()], stop):
        await asyncio.sleep(0.05)

    assert not stop.is_set()

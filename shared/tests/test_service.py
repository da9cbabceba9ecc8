# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from habitus import service


async def test_work_that_does_not_end_after_the_stop_is_given_up(monkeypatch):
    monkeypatch.setattr(service, "STOP_S", 0.05)
    stop = asyncio.Event()
    work = asyncio.ensure_future(asyncio.Event().wait())
    bounded = asyncio.ensure_future(service._bounded(work, stop, "test"))
    await asyncio.sleep(0.1)
    assert not bounded.done()
    stop.set()
    await asyncio.wait_for(bounded, 5)
    assert work.cancelled()


async def test_a_fault_of_the_work_is_passed_on():
    async def failing() -> None:
        raise service.ServiceFault("no kernel")

    with pytest.raises(service.ServiceFault, match="no kernel"):
        await service._bounded(asyncio.ensure_future(failing()), asyncio.Event(), "test")

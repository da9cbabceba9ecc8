# SPDX-License-Identifier: Apache-2.0
"""Services killed in the middle of the work: no alert is lost, none comes twice."""

import asyncio
from pathlib import Path

import pytest

from habitus_console import profiles, results
from habitus_console.feed import feed
from habitus_console.replay import SERVICES
from habitus_console.stack import Stack

SAMPLE = Path(__file__).parents[1] / "samples" / "webapp"


def nothing(_amount: object) -> None:
    pass


async def kill(stack: Stack, name: str) -> None:
    child = next(child for child in stack.children if child.name == name)
    child.process.kill()
    await child.process.wait()
    await stack.restart(child)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["profiler", "scorer", "embedder", "llm-gateway"])
async def test_a_killed_service_costs_no_alert_and_doubles_none(victim, tmp_path):
    environment = {
        "HABITUS_EMBEDDER_PORT": "0",
        "HABITUS_LLM_PORT": "0",
        "HABITUS_PROFILER_SNAPSHOT_S": "0.2",
    }
    async with Stack(tmp_path, SERVICES, environment) as stack, stack.bus() as bus:
        learned = await feed(bus, SAMPLE / "learn.jsonl", "learn", nothing, nothing)
        await kill(stack, victim)
        await synchronised(bus, learned.last_sequence)
        await profiles.converge(bus, learned.last_sequence, freeze=False)
        judged = await feed(bus, SAMPLE / "detect.jsonl", "detect", nothing, nothing)
        await kill(stack, victim)
        await synchronised(bus, judged.last_sequence)
        async with asyncio.timeout(30):
            scores = await results.scored(bus, lambda _done, _all: None)
        alerts = await results.alerts(bus)
    assert [score.path[-1] for score in scores if score.reason == "unknown-path"] == ["xmrig"]
    assert len(scores) == 2
    assert [alert.who.name for alert in alerts] == ["xmrig", "java"]


async def synchronised(bus, sequence) -> None:
    """As `profiles.synchronise`, patient with a profiler that is just coming back."""
    async with asyncio.timeout(40):
        while True:
            try:
                await profiles.synchronise(bus, sequence)
            except profiles.ProfilesFault:
                await asyncio.sleep(0.2)
            else:
                return

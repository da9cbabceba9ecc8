# SPDX-License-Identifier: Apache-2.0
"""An alert's whole life: raised, kept, acknowledged, called benign, met again in peace, opened again."""

import asyncio
from pathlib import Path

import pytest

from habitus import subjects
from habitus_console import profiles, results
from habitus_console.alert_client import AlertClient, StoreFault
from habitus_console.feed import feed
from habitus_console.replay import SERVICES
from habitus_console.stack import STORE, Stack
from habitus_console.store.states import Act

SAMPLE = Path(__file__).parents[1] / "samples" / "webapp"
ENVIRONMENT = {"HABITUS_EMBEDDER_PORT": "0", "HABITUS_LLM_PORT": "0", "HABITUS_CONSOLE_PORT": "0"}


def nothing(_amount: object) -> None:
    pass


async def anomalies(bus, phase: str) -> int:
    """Play the attacks again under new ids; return how many anomalies the stream then holds."""
    fed = await feed(bus, SAMPLE / "detect.jsonl", phase, nothing, nothing)
    await profiles.synchronise(bus, fed.last_sequence)
    return (await bus.js.stream_info(subjects.ANOMALIES)).state.messages


async def kept(client: AlertClient, names: list[str]) -> list[str]:
    async with asyncio.timeout(30):
        while True:
            entries = client.page(order="oldest", whole="true").alerts
            if [one.alert.who.name for one in entries] == names:
                return [one.id for one in entries]
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_what_is_called_benign_raises_nothing_until_it_is_opened_again(tmp_path):
    async with Stack(tmp_path, (*SERVICES, STORE), ENVIRONMENT) as stack, stack.bus() as bus:
        learned = await feed(bus, SAMPLE / "learn.jsonl", "learn", nothing, nothing)
        await profiles.converge(bus, learned.last_sequence, freeze=False)
        assert await anomalies(bus, "first") == 2
        client = AlertClient(await stack.api(bus))
        miner, other = await kept(client, ["xmrig", "java"])
        client.decide(miner, Act.ACKNOWLEDGE, "ann", "")
        client.decide(miner, Act.BENIGN, "ann", "a drill")
        [mark] = (await profiles.summary(bus, "webapp:v1")).notes.marks
        assert (mark.who, mark.why, mark.alert, mark.undone_by) == ("ann", "a drill", miner, "")
        assert await anomalies(bus, "second") == 2 + 1  # the other attack alone
        await killed(stack)
        client = AlertClient(await stack.api(bus))
        assert client.one(miner).status == "benign"
        assert client.decide(miner, Act.REOPEN, "bob", "no drill").status == "open"
        [mark] = (await profiles.summary(bus, "webapp:v1")).notes.marks
        assert mark.undone_by == "bob"
        assert await anomalies(bus, "third") == 2 + 1 + 2
        await profiles.change(bus, "lock", "webapp:v1")
        with pytest.raises(StoreFault, match="locked"):
            client.decide(other, Act.BENIGN, "ann", "a drill")
        assert client.one(other).status == "open"
        assert [one.id for one in await results.alerts(bus)] == await kept(client, ["xmrig", "java"])


async def killed(stack: Stack) -> None:
    child = next(child for child in stack.children if child.name == STORE)
    child.process.kill()
    await child.process.wait()
    await stack.restart(child)

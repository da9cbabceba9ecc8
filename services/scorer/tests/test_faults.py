# SPDX-License-Identifier: Apache-2.0
"""The scorer as its own process among broken engines, poison and floods: it loses and invents nothing."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from scorer_making import alerts, anomaly, publish, scorer, scores, stored, until

from habitus import subjects, wire
from habitus.anomalies import Anomaly
from habitus.bus import Bus
from habitus.images import partition_of
from habitus_console import results

BROKEN = """\
import asyncio, math
from habitus.engines import Score

class Engine:
    def __init__(self, services):
        self.max_points = services.max_points

class Raises(Engine):
    name = "raises"
    async def score(self, anomaly, context):
        raise KeyError("no\\x1b[2J such")

class Hangs(Engine):
    name = "hangs"
    async def score(self, anomaly, context):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

class Nan(Engine):
    name = "nan"
    async def score(self, anomaly, context):
        return Score(points=math.nan)

class Greedy(Engine):
    name = "greedy"
    async def score(self, anomaly, context):
        return Score(points=1e300)

class Nonsense(Engine):
    name = "nonsense"
    async def score(self, anomaly, context):
        return {"points": 40}
"""
NAMES = ("raises", "hangs", "nan", "greedy", "nonsense")


@pytest.fixture
def with_broken_engines(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a scorer that has somebody's package of broken engines."""
    (tmp_path / "broken_engines.py").write_text(BROKEN)
    info = tmp_path / "broken_engines-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-engines\nVersion: 1.0\n")
    points = "\n".join(f"{name} = broken_engines:{name.capitalize()}" for name in NAMES)
    (info / "entry_points.txt").write_text(f"[habitus.engines]\n{points}\n")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    return environment | {"PYTHONPATH": os.pathsep.join(paths)}


async def test_an_alert_comes_through_every_kind_of_broken_engine(bus: Bus, with_broken_engines):
    """Each abstains with its reason, the greedy one is cut to its weight, and the rest goes on as ever."""
    engines = ",".join(["rule", *NAMES])
    async with scorer(with_broken_engines, engines=engines, timeout_s="0.3"):
        await publish(bus, anomaly(pid=41), anomaly(["./other"], pid=99, container={"id": "d" * 64}))
        by_event = {line.event_id: line for line in await scores(bus, 2)}
        [alert] = await alerts(bus, 1)
    given = {name: alert.engines[name] for name in NAMES}
    assert {name for name, score in given.items() if score.abstained} == set(NAMES) - {"greedy"}
    assert given["raises"].note == r"KeyError: 'no\x1b[2J such'"
    assert given["hangs"].note == "no answer within 0.3 s"
    assert given["nan"].note == "gave nan points"
    assert given["nonsense"].note == "returned a dict instead of a Score"
    assert given["greedy"].points == given["greedy"].max_points == 20
    assert alert.score == by_event["e41-0"].score <= 100
    assert by_event["e99-0"].engines["rule"].points == 0


async def test_an_engine_that_never_ends_does_not_keep_the_scorer_from_ending(bus: Bus, with_broken_engines):
    """It swallows its cancellation; the process ends all the same, and within its time."""
    async with scorer(with_broken_engines, engines="rule,hangs", timeout_s="0.3") as process:
        await publish(bus, anomaly())
        await scores(bus, 1)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0


@pytest.mark.slow
async def test_ten_thousand_anomalies_in_a_second(bus: Bus, environment, capsys):
    """A flood with five attacks and some poison in it: a score each, an alert an attack, each in its time."""
    noise, attacks, poison = 9_990, 5, 5
    flood = [_ordinary(number) for number in range(noise)]
    for number in range(attacks):
        flood.insert(
            1_000 + 1_900 * number, anomaly(pid=9, id=f"attack-{number}", container=_container(number))
        )
    async with scorer(environment):
        await until(lambda: bus.js.consumers_info(subjects.ANOMALIES))
        began = time.time_ns()
        for number, each in enumerate(flood):
            each.event.ts = time.time_ns()
            await _sent(bus, subjects.anomalies(partition_of(each.image_key)), wire.encode(each))
            if number % 2_000 == 0:
                await _sent(bus, subjects.anomalies(0), b"\xc1poison")
        await bus.js.publish_async_completed()
        published_s = (time.time_ns() - began) / 1e9
        await stored(bus, subjects.PARKED, poison)
        lines = await asyncio.wait_for(results.scored(bus, lambda _done, _all: None), 90)
        raised = await results.alerts(bus)
    assert len({line.anomaly_id for line in lines}) == len(lines) == noise + attacks
    assert {alert.events[0]["container"]["id"] for alert in raised} == {
        _container(n)["id"] for n in range(attacks)
    }
    assert len(raised) == attacks
    done_s = (max(line.scored for line in lines) - began) / 1e9
    slowest = max(alert.latency_ms for alert in raised)
    with capsys.disabled():
        said = (
            f"published in {published_s:.1f} s, scored after {done_s:.1f} s, slowest alert {slowest:.0f} ms"
        )
        sys.stdout.write(f"\n10 000 anomalies: {said}\n")
    # It waits its turn behind what came before it, and for nothing else.
    assert slowest <= 1000 * done_s


def _container(number: int) -> dict[str, str]:
    # Each attack on an image of its own: the same deed in many containers may be told as one.
    return {"id": f"{number:064x}", "image": f"shop-{number}:v1" if number < 100 else "shop:v1"}


def _ordinary(number: int) -> Anomaly:
    argv = ["/srv/report", f"--section={number % 97}", f"--id={number}"]
    return anomaly(argv, pid=1_000 + number, id=f"n{number}", container=_container(100 + number % 200))


async def _sent(bus: Bus, subject: str, payload: bytes) -> None:
    await bus.js.publish_async(subject, payload, wait_stall=30)

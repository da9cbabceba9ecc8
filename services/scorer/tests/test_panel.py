# SPDX-License-Identifier: Apache-2.0
"""Engines: loaded by name, weighted, timed; whoever fails has abstained and says so."""

import asyncio
import importlib
import math
from pathlib import Path

import pytest
from scorer_making import anomaly

from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineScore, EngineServices, Score, total
from habitus.plugins import PluginFault
from habitus.settings import ScorerSettings
from habitus_scorer.engines.profile import ProfileEngine
from habitus_scorer.engines.rule import RuleEngine
from habitus_scorer.panel import Panel, Seat


async def nobody(subject: str, _payload: bytes, _timeout: float) -> bytes:
    raise TimeoutError(f"nobody serves {subject}")


def services(max_points: float = 40, **settings) -> EngineServices:
    return EngineServices(settings=settings, max_points=max_points, request=nobody)


class Fixed:
    """An engine that answers what the test says."""

    def __init__(self, answer, name: str = "fixed", max_points: float = 40) -> None:
        self.answer, self.name, self.max_points = answer, name, max_points

    async def score(self, anomaly, context: Context):  # noqa: ARG002
        return await self.answer(context) if callable(self.answer) else self.answer


async def judged(*engines: Fixed, timeout_s: float = 30) -> dict[str, EngineScore]:
    seats = [Seat(engine.name, engine, engine.max_points, timeout_s) for engine in engines]
    return (await Panel(seats).judge(anomaly())).scores


async def test_total_is_scaled_to_those_who_voted():
    """An abstention takes its maximum out of the total."""
    scores = await judged(Fixed(Score(points=30), "rule", 40), Fixed(Score(abstained=True), "llm", 35))
    assert total(scores) == 75
    assert scores["llm"].abstained


async def test_too_many_points_are_bounded_and_nan_abstains():
    """Points stay inside 0 … max_points; what is no number is an abstention with a note."""
    given = [Fixed(Score(points=points), str(points), 40) for points in (1e9, -5.0, math.nan, math.inf)]
    scores = await judged(*given)
    assert [scores[engine.name].points for engine in given] == [40, 0, 0, 0]
    assert [scores[engine.name].abstained for engine in given] == [False, False, True, True]
    assert scores["nan"].note == "gave nan points"


async def test_engine_that_raises_abstains_with_the_reason():
    """The others are not touched, and the text of the error is made safe."""

    async def fails(_context):
        raise RuntimeError("no model\x1b[2J\nhere")

    scores = await judged(Fixed(fails), Fixed(Score(points=40), "rule"))
    assert scores["fixed"].abstained
    assert scores["fixed"].note == r"RuntimeError: no model\x1b[2J\nhere"
    assert total(scores) == 100


async def test_engine_that_hangs_abstains_even_if_it_swallows_the_cancellation():
    """A hanging engine costs its timeout and no more."""
    free = asyncio.Event()

    async def hangs(_context):
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    scores = await judged(Fixed(hangs), timeout_s=0.01)
    free.set()
    assert scores["fixed"].note == "no answer within 0.01 s"


async def test_engine_that_answers_nonsense_abstains():
    """Something else than a Score is named by its type; a subclass counts as a Score."""
    scores = await judged(Fixed("40 points"), Fixed(EngineScore(points=9, max_points=10), "own"))
    assert scores["fixed"].note == "returned a str instead of a Score"
    assert (scores["own"].points, scores["own"].max_points) == (9, 40)


async def test_engine_that_raises_before_it_awaits_abstains():
    """`score` may be no coroutine function at all."""

    class Plain:
        name, max_points = "plain", 1.0

        def score(self, anomaly, context):  # noqa: ARG002
            raise ValueError("at once")

    seats = [Seat("plain", Plain(), 1, 1)]  # type: ignore[arg-type]
    scores = (await Panel(seats).judge(anomaly())).scores
    assert scores["plain"].note == "ValueError: at once"


async def test_engines_see_the_scores_before_theirs():
    """The order of the setting is the order of knowledge."""
    seen = []

    async def looks(context: Context):
        seen.append(sorted(context.scores))
        return Score(points=1)

    await judged(Fixed(looks, "a"), Fixed(looks, "b"), Fixed(looks, "c"))
    assert seen == [[], ["a"], ["a", "b"]]


async def test_profile_gives_points_by_confidence_and_reason():
    """A converged profile gives all; an unknown argument less than an unknown path."""
    engine = ProfileEngine(services(5))

    async def points(confidence: float, reason: str = "unknown-path") -> Score:
        return await engine.score(anomaly(confidence=confidence, reason=reason), Context())

    assert (await points(1)).points == 5
    assert (await points(0)).points == 2.5
    assert (await points(1, "unknown-argument")).points == 4
    assert (await points(math.nan)).abstained


async def test_rule_points_follow_level_weight_and_number(tmp_path: Path):
    """The weightiest hit counts whole, each further one 2 of 40, all scaled to the engine's weight."""
    for name, level in (("a", "medium"), ("b", "high"), ("c", "low"), ("d", "informational")):
        text = f"""\
title: {name}
name: {name}
logsource: {{product: linux}}
detection: {{s: {{ProcessName: special}}, condition: s}}
level: {level}
"""
        (tmp_path / f"{name}.yml").write_text(text)
    score = await RuleEngine(services(20, rules=[tmp_path])).score(anomaly(["special"]), Context())
    assert score.points == 17
    assert [finding.id for finding in score.findings] == ["b", "a", "c", "d"]


async def test_no_rule_is_an_answer():
    """Silence of the rules counts as zero points, not as an abstention."""
    score = await RuleEngine(services()).score(anomaly(["/usr/bin/report"], name="report"), Context())
    assert (score.abstained, score.points) == (False, 0)


def seated(**settings) -> Panel:
    return Panel.seated(ScorerSettings(**settings), nobody)


BAD_SETTINGS = [
    ({"engines": ["rule", "nosuch"]}, "no plugin 'nosuch' in group 'habitus.engines'"),
    ({"weights": {"rule": -1}}, "setting scorer.weights.rule: -1"),
    ({"weights": {"rule": math.nan}}, "setting scorer.weights.rule: nan"),
    ({"engine": {"rule": {"timeout_s": "soon"}}}, "scorer.engine.rule.timeout_s"),
    ({"engine": {"rule": {"at_once": 0}}}, "scorer.engine.rule.at_once: 0"),
    ({"engine": {"llm": {"concurency": 3}}}, "engine 'llm' cannot start.*concurency"),
    ({"rules": [Path("/no/such/rules")]}, "setting scorer.rules: /no/such/rules: no such folder"),
]


@pytest.mark.parametrize(("settings", "text"), BAD_SETTINGS, ids=[text for _, text in BAD_SETTINGS])
def test_start_names_what_cannot_be_used(settings, text: str):
    """A bad engine, weight or table ends the start with one line."""
    with pytest.raises(PluginFault, match=text) as fault:
        seated(**settings)
    assert "\n" not in str(fault.value)


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch):
    """A package of somebody else with two engines, installed as pip would leave it."""
    (tmp_path / "yara_engine.py").write_text("""\
from habitus.engines import Score

class Yara:
    name = "yara"
    def __init__(self, services):
        self.max_points, self.settings = services.max_points, services.settings
    async def score(self, anomaly, context):
        return Score(points=self.settings["points"], note=f"after {sorted(context.scores)}")
""")
    (tmp_path / "gpu_engine.py").write_text("import cupy_not_here\n")
    info = tmp_path / "habitus_yara-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: habitus-yara\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[habitus.engines]\nyara = yara_engine:Yara\ngpu = gpu_engine:Gpu\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()


async def test_third_party_engine_scores(third_party):
    """An installed package adds an engine by its entry point; its table and weight come from the settings."""
    panel = seated(engines=["rule", "yara"], weights={"rule": 40, "yara": 10}, engine={"yara": {"points": 7}})
    scores = (await panel.judge(anomaly())).scores
    assert (scores["yara"].points, scores["yara"].max_points) == (7, 10)
    assert scores["yara"].note == "after ['rule']"


def test_missing_extra_is_named(third_party):
    """An engine whose own package is missing says which, and only configured engines are imported."""
    seated(engines=["rule"])
    with pytest.raises(PluginFault, match=r"'gpu' needs module 'cupy_not_here'.*habitus-yara\[gpu\]"):
        seated(engines=["gpu"])


async def test_an_engine_is_called_at_most_so_often_at_once():
    """Of five calls two run; the others wait their turn, and all are answered."""
    running: set[object] = set()
    most: list[int] = []

    class Busy:
        name = "busy"
        max_points = 1.0

        async def score(self, anomaly: Anomaly, context: Context) -> Score:  # noqa: ARG002
            call = object()
            running.add(call)
            most.append(len(running))
            await asyncio.sleep(0)
            running.discard(call)
            return Score(points=1)

    panel = Panel([Seat("busy", Busy(), 1, 60, turns=asyncio.Semaphore(2))])
    given = await asyncio.gather(*(panel.judge(anomaly()) for _ in range(5)))
    assert max(most) == 2
    assert [verdict.scores["busy"].points for verdict in given] == [1] * 5


class Prompt(Fixed):
    """Says that it never waits."""

    waits = False


async def test_an_engine_that_never_waits_is_called_in_place():
    """Its score, its fault and its lie are what they would be of any engine; the others see its score."""

    async def raises(_context):
        raise KeyError("no such")

    async def lies(_context):
        await asyncio.sleep(0)

    async def sees(context):
        return Score(points=context.scores["good"].points / 2)

    engines = [
        Prompt(Score(points=30), "good"),
        Prompt(raises, "raises"),
        Prompt(lies, "lies"),
        Prompt({}, "none"),
    ]
    panel = Panel(
        [Seat(one.name, one, 40, 30) for one in (*engines, Fixed(sees, "sees"), Prompt(sees, "after"))]
    )
    glimpsed = panel.glimpse(anomaly())
    assert list(glimpsed) == ["good", "raises", "lies", "none"]
    assert [score.abstained for score in glimpsed.values()] == [False, True, True, True]
    assert glimpsed["raises"].note == "KeyError: 'no such'"
    assert glimpsed["lies"].note == "waits, though it says that it never does"
    scores = (await panel.judge(anomaly(), glimpsed)).scores
    assert {name: scores[name].points for name in ("good", "sees", "after")} == {
        "good": 30,
        "sees": 15,
        "after": 15,
    }
    assert (await panel.judge(anomaly())).scores == scores

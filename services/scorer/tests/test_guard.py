# SPDX-License-Identifier: Apache-2.0
"""What the profiler is told not to learn."""

from scorer_making import anomaly

from habitus import wire
from habitus.engines import EngineScore, Finding, Score
from habitus.guarding import GuardReply, GuardRequest
from habitus.languages import Bilingual
from habitus.settings import ScorerSettings
from habitus_scorer.guard import Guard
from habitus_scorer.panel import Panel, Seat


async def asked(panel: Panel, *lines: list[str]) -> GuardReply:
    request = GuardRequest(anomalies=[anomaly(line) for line in lines])
    return wire.decode(GuardReply, await Guard(panel).answer(wire.encode(request)))


def panel_of(settings: ScorerSettings) -> Panel:
    async def nobody(_subject: str, _payload: bytes, _timeout: float) -> bytes:
        raise TimeoutError

    return Panel.seated(settings, nobody)


async def test_the_shipped_rules_keep_a_miner_out_and_ordinary_work_not():
    panel = panel_of(ScorerSettings(engines=["rule"]))
    miner = ["./app", "-o", "stratum+tcp://pool.example:3333"]
    reply = await asked(panel, ["java", "-jar", "/app/app.jar"], miner, ["apt-get", "install", "curl"])
    assert reply.error is None
    assert reply.rules == ["", "miner-arguments", ""]


async def test_without_a_rule_engine_nothing_is_kept_out():
    assert (await asked(panel_of(ScorerSettings(engines=[])), ["x"])).rules == [""]


async def test_only_a_sure_rule_counts_and_no_answer_is_an_error():
    class Fixed:
        name, max_points, given = "rule", 40.0, Score()

        async def score(self, _anomaly: object, _context: object) -> Score:
            return self.given

    engine = Fixed()
    panel = Panel([Seat("rule", engine, 40, 1)])
    title = Bilingual(en="t", zh="t")
    engine.given = Score(
        findings=[Finding(id="weak", title=title), Finding(id="sure", title=title, level="high")]
    )
    assert (await asked(panel, ["x"])).rules == ["sure"]
    engine.given = EngineScore(abstained=True, note="busy", max_points=40)
    reply = await asked(panel, ["x"])
    assert (reply.rules, reply.error) == ([], "engine rule: busy")
    assert wire.decode(GuardReply, await Guard(panel).answer(b"\xff")).error

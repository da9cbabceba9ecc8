# SPDX-License-Identifier: Apache-2.0
"""A decision is taken again from its bundle: the same, or it is said what differs."""

import asyncio
import os
import sys

import pytest
from scorer_making import TS, anomaly

from habitus.engines import EngineScore, Score
from habitus.evidence import Evidence, EvidenceFault
from habitus.judging import JudgeReply
from habitus.languages import Bilingual
from habitus.repeats import Repeat
from habitus.settings import ScorerSettings
from habitus_scorer.again import repeated
from habitus_scorer.alerting import alert_of
from habitus_scorer.evidence import bundle_of
from habitus_scorer.incident import Judged
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.panel import Panel, Seat

REPLY = JudgeReply(
    verdict="malicious",
    confidence=0.9,
    provider="fake",
    model="m1",
    prompt_version="en-3-ab",
    explanation=Bilingual(en="It mines.", zh="挖矿。"),
    prompt="[system] …",
    answer="{}",
)


async def answers(_subject: str, _payload: bytes, _seconds: float) -> bytes:
    return REPLY.model_dump_json().encode()


async def nobody(subject: str, _payload: bytes, _seconds: float) -> bytes:
    raise TimeoutError(f"nobody serves {subject}")


def panel(request=nobody, **settings) -> Panel:
    return Panel.seated(ScorerSettings(**settings), request)


async def evidence(judging: Panel, *argvs: list[str]) -> Evidence:
    """What the real engines decided on `argvs`, a process each of one incident; packed and unpacked."""
    book = IncidentBook(3600)
    for at, argv in enumerate(argvs):
        one = anomaly(argv, pid=41 + at, ppid=40 + at)
        one.replicas = 12
        incident = book.fold(Judged.of(one, (await judging.judge(one)).scores))
    alert = alert_of(incident, incident.best.anomaly, TS)
    return Evidence.unpack(bundle_of(incident, alert, 40).pack())


MINER = ["./xmrig", "-o", "stratum+tcp://pool.minexmr.com:4444"]


async def test_the_same_engines_give_the_same_without_asking_anybody():
    """Rules judge again, the cluster by the recorded replicas, the model by its recorded answer."""
    made = await evidence(panel(answers), MINER, ["id"])
    repeat = await repeated(made, panel(nobody))
    assert repeat.same
    assert repeat.severity_now is repeat.severity_then is made.alert.severity
    first = repeat.anomalies[0].engines
    assert {name: one.how for name, one in first.items()} == {
        "profile": "judged", "rule": "judged", "cluster": "judged", "llm": "judged",
    }  # fmt: skip
    assert first["llm"].now.points > 0
    assert first["cluster"].now.points > 0
    assert repeat.anomalies[1].engines["llm"].how == "recorded"


async def test_an_answer_that_is_asked_anew_shows_what_changed():
    made = await evidence(panel(answers), MINER)
    benign = REPLY.model_copy(update={"verdict": "benign", "confidence": 0.8})

    async def otherwise(*_request) -> bytes:
        return benign.model_dump_json().encode()

    repeat = await repeated(made, panel(otherwise), ask=True)
    model = repeat.anomalies[0].engines["llm"]
    assert (model.how, repeat.same) == ("asked", False)
    assert model.now.points < model.then.points
    assert repeat.anomalies[0].now < repeat.anomalies[0].then


async def test_a_rule_that_changed_is_named(tmp_path):
    """A user's rule of the same id, with fewer points, stands in for the shipped one."""
    made = await evidence(panel(answers), MINER)
    rules = made.records["rule"]["rules"]
    assert rules
    assert all(len(version) == 12 for version in rules.values())
    name = next(iter(rules))  # the weightiest
    (tmp_path / "mine.yml").write_text(
        f"title: weaker\nname: {name}\nlevel: low\nhabitus: {{points: 0}}\n"
        "logsource: {product: linux, category: process_creation}\n"
        "detection: {selection: {Image|endswith: xmrig}, condition: selection}\n"
    )
    repeat = await repeated(made, panel(nobody, rules=[tmp_path]))
    assert name in repeat.changed
    rule = repeat.anomalies[0].engines["rule"]
    assert rule.now.points < rule.then.points


async def test_an_engine_that_left_or_came_is_told():
    made = await evidence(panel(answers), MINER)
    repeat = await repeated(made, panel(nobody, engines=["rule"]))
    assert repeat.anomalies[0].engines["llm"].how == "left out"
    assert not repeat.same
    without = await evidence(panel(nobody, engines=["rule"]), MINER)
    repeat = await repeated(without, panel(nobody, engines=["rule", "profile"]))
    assert repeat.anomalies[0].engines["profile"].then is None


async def test_an_engine_that_breaks_on_its_record_abstains():
    """The record may have been edited by hand: nothing breaks but that engine's part."""
    made = await evidence(panel(answers), MINER)
    made.records["cluster"] = {"shown": "many"}
    repeat = await repeated(made, panel(nobody))
    cluster = repeat.anomalies[0].engines["cluster"]
    assert cluster.now.abstained
    assert "TypeError" in cluster.note


class Other:
    """A third party's engine without a record."""

    name, max_points = "other", 20.0

    async def score(self, anomaly, context) -> Score:  # noqa: ARG002
        return Score(points=7)


async def test_an_engine_without_memory_judges_anew():
    seats = Panel([Seat("other", Other(), 20, 5)])
    made = await evidence(seats, MINER)
    assert (await repeated(made, seats)).same


async def test_a_blind_interval_is_repeated_too():
    one = anomaly(reason="blind-interval")
    score = {"losses": EngineScore(points=60, max_points=100)}
    incident = IncidentBook(3600).fold(Judged.of(one, score))
    made = bundle_of(incident, alert_of(incident, one, TS), 40)
    assert (await repeated(made, panel())).anomalies[0].engines["losses"].same


async def test_a_bundle_without_anomalies_is_refused():
    made = await evidence(panel(answers), MINER)
    with pytest.raises(EvidenceFault):
        await repeated(made.model_copy(update={"anomalies": []}), panel())
    made.anomalies[0].anomaly["event"]["ts"] = "never"
    with pytest.raises(EvidenceFault, match="cannot be read"):
        await repeated(made, panel())


async def run(data: bytes, *options: str, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "habitus_scorer.again", *options,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )  # fmt: skip
    said, fault = await process.communicate(data)
    return process.returncode or 0, said.decode(), fault.decode()


async def test_the_command_reads_a_bundle_and_prints_one_object():
    made = await evidence(panel(answers), MINER)
    code, said, _ = await run(made.pack())
    assert code == 0
    assert Repeat.model_validate_json(said).same


@pytest.mark.parametrize(
    ("data", "environment", "named"),
    [
        (b"nonsense", {}, "no evidence bundle"),
        (None, {"HABITUS_SCORER_ENGINES": "nosuch"}, "nosuch"),
        (None, {"HABITUS_SCORER_ENGINE": "1"}, "scorer.engine"),
    ],
)
async def test_faults_are_one_line(data, environment, named: str):
    made = data or (await evidence(panel(answers), MINER)).pack()
    code, said, fault = await run(made, **environment)
    assert (code, said) == (1, "")
    assert named in fault
    assert len(fault.splitlines()) == 1

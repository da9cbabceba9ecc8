# SPDX-License-Identifier: Apache-2.0
"""From the sample's attack to its retold decision: a running stack, the command, a saved bundle, a replay."""

import json
import os
from pathlib import Path

import yaml

from habitus.evidence import Evidence

SAMPLE = Path(__file__).parents[1] / "samples" / "webapp"


def test_an_alert_is_explained_saved_and_decided_again(up, habitus, tmp_path):
    running = up("--sample", SAMPLE, HABITUS_COLLECTOR_OBJECTS="/nonexistent", HABITUS_LLM_PROVIDER="fake")
    running.wait_for("sample played")
    told = {name: value for name, value in running.environment.items() if name not in os.environ}
    raised: list[dict] = []

    def alerts() -> bool:
        done = habitus("alerts", "--json", **told)
        raised[:] = [json.loads(line) for line in done.stdout.splitlines()]
        return len(raised) == 2

    running.until(alerts)
    alert = raised[0]
    explained = habitus("explain", alert["id"][:9], "--lang", "en", **told)
    assert explained.returncode == 0, explained.stderr
    for wanted in (
        alert["title"]["en"],
        "Which step failed",
        "rules (rule)",
        "possible points",
        "asked: fake",
        "What to do",
    ):
        assert wanted in explained.stdout, wanted
    assert "发生了什么" in habitus("explain", alert["id"], "--lang", "zh", **told).stdout
    file = tmp_path / "bundle.json.gz"
    habitus("explain", alert["id"], "--save", file, **told)
    bundle = Evidence.unpack(file.read_bytes())
    assert (bundle.alert.id, bundle.alert.score) == (alert["id"], alert["score"])
    asked = bundle.records["llm"]["reply"]
    assert "xmrig" in asked["prompt"] or "java" in asked["prompt"]
    assert json.loads(asked["answer"])["verdict"] == asked["verdict"]
    again = habitus("replay", "--evidence", file, "--json")
    assert again.returncode == 0, again.stderr + again.stdout
    repeat = json.loads(again.stdout)
    assert repeat["same"]
    engines = repeat["anomalies"][0]["engines"]
    assert engines["rule"]["then"]["points"] > 0
    assert engines["rule"]["how"] == engines["llm"]["how"] == "judged"
    anew = json.loads(habitus("replay", "--evidence", file, "--ask", "--json", **told).stdout)
    assert anew["anomalies"][0]["engines"]["llm"]["how"] == "asked"
    assert not anew["anomalies"][0]["engines"]["llm"]["now"]["abstained"]
    differs = habitus("replay", "--evidence", file, HABITUS_SCORER_ENGINES="profile")
    assert differs.returncode == 1
    assert "NOT the same decision" in differs.stdout
    [entry, *_] = yaml.safe_load_all(habitus("explain", file, "--entries").stdout)
    assert entry["operation"] == "exec"
    assert entry["scope"]["image"] == "webapp:v1"
    assert running.interrupt() == 0
    gone = habitus("explain", alert["id"], HABITUS_CONSOLE_STATE=str(tmp_path / "none"))
    assert gone.returncode == 1
    assert "no running stack" in gone.stderr

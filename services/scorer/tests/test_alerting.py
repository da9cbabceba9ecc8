# SPDX-License-Identifier: Apache-2.0
"""The alert says what a person needs, in both languages, and nothing hostile gets a voice."""

import pytest
from scorer_making import POD, TS, anomaly

from habitus.alerts import Alert
from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineServices, Score, bounded
from habitus_scorer.alerting import alert_of
from habitus_scorer.engines.rule import RuleEngine
from habitus_scorer.incident import Judged
from habitus_scorer.incidents import IncidentBook


async def _nobody(_subject: str, _payload: bytes, _timeout: float) -> bytes:
    raise TimeoutError


@pytest.fixture(scope="module")
def rules() -> RuleEngine:
    return RuleEngine(EngineServices(max_points=40, request=_nobody))


async def alerted(rules: RuleEngine, one: Anomaly) -> Alert:
    scores = {"rule": bounded(await rules.score(one, Context()), 40), "profile": bounded(Score(points=5), 5)}
    incident = IncidentBook(3600).fold(Judged.of(one, scores))
    return alert_of(incident, one, now=TS + 7_000_000)


async def test_miner_is_named_in_both_languages(rules: RuleEngine):
    """Severity, title, advice, technique and action of the mining story."""
    alert = await alerted(rules, anomaly())
    assert alert.severity == "high"
    assert (alert.title.en, alert.title.zh) == ("High: container cryptomining", "高危：容器挖矿行为检测")
    assert "isolate" in alert.advice.en.lower()
    assert "建议隔离该 Pod" in alert.advice.zh
    assert f"kubectl label pod -n shop web-0 habitus.io/isolate={POD['uid']}" in alert.advice.en
    assert alert.techniques == ["T1496"]
    assert alert.action.kind == "isolate-pod"
    assert alert.action.policy["spec"]["podSelector"] == {"matchLabels": {"habitus.io/isolate": POD["uid"]}}
    assert alert.latency_ms == 7


async def test_place_and_lineage_are_told(rules: RuleEngine):
    """Pod, container, image, pid and the way from the first process down."""
    alert = await alerted(rules, anomaly())
    where, who = alert.where, alert.who
    assert (where.namespace, where.pod, where.container, where.image) == ("shop", "web-0", "web", "webapp:v1")
    assert (who.pid, who.lineage) == (41, ["tini", "bash", "xmrig"])
    assert alert.events[0]["process"]["argv"] == ["./xmrig", "-o", "pool.minexmr.com:4444"]
    assert alert.departures[0].reason == "unknown-path"


GENERIC = [
    ({}, "process never seen in this image"),
    ({"reason": "unknown-argument"}, "known process with unknown arguments"),
    ({"reason": "novel-slot"}, "known process with a new security-relevant argument"),
    ({"class_": "file", "op": "open", "file": {"path": "/x"}}, "file access never seen in this image"),
    ({"class_": "network", "op": "connect", "network": {}}, "network activity never seen in this image"),
]


@pytest.mark.parametrize(("parts", "title"), GENERIC, ids=[title for _, title in GENERIC])
async def test_without_a_rule_the_title_says_the_reason(rules: RuleEngine, parts, title: str):
    """What no rule names is named by what the profile lacks."""
    alert = await alerted(rules, anomaly(["/srv/report"], **parts))
    assert alert.title.en == f"Info: {title}"
    assert alert.title.zh.startswith("提示：")
    assert alert.advice.zh


async def test_container_without_pod_is_stopped(rules: RuleEngine):
    """No Pod: the container is what can be contained; without a usable name, a review."""
    alert = await alerted(rules, anomaly(container={"pod": None}))
    assert (alert.action.kind, alert.action.title.zh) == ("stop-container", "停止容器 web")
    assert "kubectl" not in alert.advice.en
    alert = await alerted(rules, anomaly(container={"pod": None, "name": "a b;rm", "id": None}))
    assert alert.action.kind == "review"


@pytest.mark.parametrize("name", ["web;curl x|sh", "web\n0", "$(id)", "-n", "a" * 300, "\u202eweb", ""])
async def test_hostile_pod_name_reaches_no_command(rules: RuleEngine, name: str):
    """A name that Kubernetes would not allow stands in no command and no policy."""
    alert = await alerted(rules, anomaly(container={"pod": {"name": name, "namespace": "shop"}}))
    assert alert.action.kind == "stop-container"
    assert "kubectl" not in alert.advice.en + alert.advice.zh


async def test_hostile_argv_survives_as_data(rules: RuleEngine):
    """Escapes, NULs and marks are kept in the event and are no part of any text of ours."""
    hostile = ["./xmrig", "\x1b]0;owned\x07", "a\x00b", "\u202egnp.exe", "stratum+tcp://x"]
    alert = await alerted(rules, anomaly(hostile))
    back = Alert.model_validate_json(alert.model_dump_json())
    assert back.events[0]["process"]["argv"] == hostile
    texts = [back.title.en, back.title.zh, back.advice.en, back.advice.zh, back.action.title.en]
    texts += [finding.detail for finding in back.engines["rule"].findings]
    assert all(text.isprintable() for text in texts)


async def test_event_without_process_still_gives_an_alert(rules: RuleEngine):
    """Who is unknown then, where is not."""
    one = anomaly(
        class_="network", op="connect", network={"domain": "pool.minexmr.com", "direction": "egress"}
    )
    one.event.process = None
    alert = await alerted(rules, one)
    assert alert.who.name == "?"
    assert alert.title.en == "High: container cryptomining"

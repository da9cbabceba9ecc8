# SPDX-License-Identifier: Apache-2.0
"""`habitus explain` retells a bundle in plain words; nothing observed speaks to the terminal."""

import json
import stat
import unicodedata

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from habitus.alerts import Alert, Moment, Summary, Where
from habitus.anomalies import Anomaly, Neighbour
from habitus.engines import EngineScore, Finding
from habitus.events import Container, Event, Process
from habitus.evidence import Evidence, JudgedAnomaly, Term
from habitus.languages import Bilingual
from habitus.policies import PolicyScope, denial, isolation
from habitus.repeats import AnomalyRepeat, EngineRepeat, Repeat
from habitus_alerts import HOSTILE, alert_with, shown
from habitus_console import cli, explain_cli, render
from habitus_console import evidence as evidences

RUN = CliRunner()


def evidence_with(text: str) -> Evidence:
    """A bundle in which everything that is observed is `text`."""
    process = Process(pid=41, exe=text, name=text, argv=[text])
    event = Event(ts=1, class_="process", op="exec", container=Container(image=text), process=process)
    anomaly = Anomaly(
        id="x", event=event, image_key=text, revision=3, reason="unknown-argument", path=[text, "java"],
        detail=text, usual=[text], nearest=[Neighbour(text, 0.4123)], model="lexical", threshold=0.82,
    )  # fmt: skip
    alert = alert_with(text)
    entry = denial("exec", text, PolicyScope(image=text), expires=10**18, reason="a-1")
    reply = {
        "provider": "local", "model": text, "verdict": "malicious", "confidence": 0.9,
        "prompt_version": "en-3", "prompt": text, "answer": text,
    }  # fmt: skip
    found = Finding(id=text, title=Bilingual(en="mining", zh="挖矿"), detail=text, techniques=[text])
    moment = Moment(
        ts=1, process=text, op="exec", what=text, reason="unknown-argument", score=80, anomaly_id="x"
    )
    update = {
        "action": alert.action.model_copy(update={"entries": [entry]}),
        "summary": Summary(
            timeline=[moment], files=[text], peers=[text], containers=[Where(image=text, pod=text)] * 2,
            container_count=2, deeds=3, last_seen=1,
        ),
        "engines": {
            "rule": EngineScore(points=30, max_points=40, findings=[found]),
            "cluster": EngineScore(points=0, max_points=20, abstained=True, note=text),
            "llm": EngineScore(points=35, max_points=35, explanation=Bilingual(en=text, zh=text)),
        },
    }  # fmt: skip
    terms = {"rule": Term(points=30, max_points=40)}
    return Evidence(
        made=1, habitus="0", alert=alert.model_copy(update=update), alert_at=40, decisive="x",
        anomalies=[JudgedAnomaly.of(anomaly, 80, terms)],
        records={"rule": {"rules": {text: "0123456789ab"}}, "llm": {"reply": reply}},
    )  # fmt: skip


def test_the_story_says_what_failed_who_gave_what_and_what_to_do():
    text = shown(explain_cli.story(evidence_with("plain"), "en"))
    for wanted in (
        "What happened", "High: plain", "plain → java", "0.82", "0.4123", "lexical", "rules (rule): 30 of 40",
        "abstained (plain)", "plain@0123456789ab", "malicious", "30 (rule) + 35 (llm) of 75 possible",
        "told from 40", "different deeds: 3, containers: 2", "deny exec of plain", "--action | kubectl apply",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_the_story_is_told_in_chinese_too():
    text = shown(explain_cli.story(evidence_with("plain"), "zh"))
    for wanted in ("发生了什么", "高危", "余弦相似度达到 0.82", "弃权", "总分", "如何处置", "策略条目"):
        assert wanted in text
    assert "What" not in text


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_text_is_told_and_not_obeyed(text: str, language):
    plain = shown(explain_cli.story(evidence_with(text), language))
    assert not any(one != "\n" and unicodedata.category(one) in {"Cc", "Cf"} for one in plain)


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_no_text_breaks_the_story_or_the_yaml(text: str):
    evidence = evidence_with(text)
    shown(explain_cli.story(evidence, "en"))
    printed = explain_cli.entries_yaml(evidence.alert.action)
    assert printed.isascii()
    assert not any(one != "\n" and unicodedata.category(one) == "Cc" for one in printed)
    [entry] = yaml.safe_load_all(printed)
    assert entry["target"] == text


def test_a_model_that_was_not_asked_said_nothing():
    evidence = evidence_with("plain")
    evidence.records["llm"] = {"reply": {"provider": None, "model": None, "verdict": "unsure"}}
    text = shown(explain_cli.story(evidence, "en"))
    assert "unsure" not in text
    assert "None" not in text


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_line_that_breaks_on_a_terminal_stays_indented(width: int):
    text = shown(explain_cli.story(evidence_with("long words " * 9), "en", hang=True), width=width)
    told = text.split("What happened")[1].split("What is usual here")[0]
    assert all(line.startswith("  ") for line in told.splitlines() if line.strip())


def saved(tmp_path, name: str = "bundle.json", text: str = "plain"):
    file = tmp_path / name
    evidences.save(evidence_with(text), file)
    return file


@pytest.mark.parametrize("name", ["bundle.json", "bundle.json.gz"])
def test_a_saved_bundle_is_the_owner_s_and_reads_back(tmp_path, name: str):
    file = saved(tmp_path, name, "\x1b[2J 高危 \u202e")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Evidence.unpack(file.read_bytes()) == evidence_with("\x1b[2J 高危 \u202e")


def test_explain_reads_a_saved_file_and_needs_no_broker(tmp_path):
    done = RUN.invoke(cli.app, ["explain", str(saved(tmp_path)), "--lang", "zh"])
    assert done.exit_code == 0, done.output
    assert "发生了什么" in done.output
    done = RUN.invoke(cli.app, ["explain", str(saved(tmp_path, text="\x1b\u202e\U0001f600")), "--json"])
    assert Evidence.model_validate(json.loads(done.output)).alert.id == "a-1"
    assert done.output.isascii()


def test_in_a_file_no_command_is_broken(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    done = RUN.invoke(
        cli.app, ["explain", str(saved(tmp_path, text="kubectl label pod " * 5)), "--lang", "en"]
    )
    assert "command line: " + " ".join(["kubectl label pod " * 5] * 2) in done.output


def test_what_is_no_bundle_ends_in_one_line(tmp_path):
    (tmp_path / "no.json").write_text("{}")
    done = RUN.invoke(cli.app, ["explain", str(tmp_path / "no.json")])
    assert done.exit_code == 1
    assert "no.json: no evidence bundle" in " ".join(done.output.split())
    assert len(done.output.splitlines()) == 1


def test_the_action_is_yaml_for_kubectl_with_the_label_commands_as_comments(tmp_path):
    evidence = evidence_with("plain")
    action = evidence.alert.action
    action.prepare = ["kubectl label pod -n shop web-0 habitus.io/isolate=u"]
    action.further = [isolation("other", "a-1", {"habitus.io/isolate": "a-1"})]
    file = tmp_path / "b.json"
    evidences.save(evidence, file)
    printed = RUN.invoke(cli.app, ["explain", str(file), "--action"]).output
    assert "# kubectl label pod -n shop web-0 habitus.io/isolate=u\n" in printed
    assert list(yaml.safe_load_all(printed)) == action.objects
    entries = RUN.invoke(cli.app, ["explain", str(file), "--entries"]).output
    [entry] = yaml.safe_load_all(entries)
    assert (entry["effect"], entry["operation"], entry["target"]) == ("deny", "exec", "plain")


def test_without_anything_to_apply_the_action_fails_in_one_line(tmp_path):
    evidence = evidence_with("plain")
    evidence.alert.action = None
    file = tmp_path / "b.json"
    evidences.save(evidence, file)
    done = RUN.invoke(cli.app, ["explain", str(file), "--action"])
    assert done.exit_code == 1
    assert "nothing that can be applied" in done.output


def test_an_alert_without_a_bundle_is_told_from_what_it_says_itself():
    text = shown(explain_cli.story(evidences.of_alert(alert_with("plain")), "en"))
    assert "never seen under this parent" in text
    assert "looked for: plain" in text


@pytest.mark.parametrize(
    ("asked", "found"),
    [("a-12", "a-12"), ("12", "a-12"), ("a-3", "a-34"), ("34", "a-34"), ("a-9", None)],
)
def test_a_unique_beginning_is_enough(asked: str, found: str | None):
    assert evidences._only(["a-12", "a-123", "a-34"], asked) == found


def test_a_beginning_of_several_names_them():
    with pytest.raises(evidences.EvidenceFault, match="2 alerts begin with a-1: a-12, a-13"):
        evidences._only(["a-12", "a-13"], "a-1")


def repeat(then: float, now: float) -> Repeat:
    engines = {
        "rule": EngineRepeat(
            how="judged", then=Term(points=then, max_points=40), now=Term(points=now, max_points=40)
        )
    }
    one = AnomalyRepeat(anomaly_id="x\x1b", process="java", then=then, now=now, engines=engines)
    return Repeat(
        alert="a-1", same=one.same, severity_then="high", severity_now="high", told=True, tells=now >= 40,
        anomalies=[one], changed=["miner"],
    )  # fmt: skip


def test_old_and_new_stand_side_by_side():
    text = shown(explain_cli.comparison(repeat(75, 30), "en"))
    for wanted in ("75 / 40", "30 / 40", "✗", "NOT the same", "then yes, now no", "miner", "judged again"):
        assert wanted in text
    assert "决策一致" in shown(explain_cli.comparison(repeat(75, 75), "zh"))


def test_replay_asks_for_recordings_or_evidence():
    done = RUN.invoke(cli.app, ["replay"])
    assert done.exit_code == 2
    assert "--evidence" in done.output


def test_an_alert_names_the_other_containers_it_reached():
    one = evidence_with("plain").alert
    others = [Where(image="i", pod=f"web-{n}", container_id=f"c{n}") for n in range(12)]
    one.summary = Summary(containers=others, container_count=30)
    text = shown(render.alert(one, "en"))
    assert "Also in" in text
    assert "web-7 … (+21)" in text


def test_old_alerts_still_parse():
    """An alert as a former version stored it has no summary, no deeds, and an action of fewer parts."""
    raw = alert_with("plain").model_dump(mode="json")
    del raw["summary"]
    for departure in raw["departures"]:
        del departure["deed"]
    raw["action"] = {"kind": "review", "title": {"en": "a", "zh": "b"}}
    back = Alert.model_validate(raw)
    assert back.summary == Summary()
    assert back.action.objects == []

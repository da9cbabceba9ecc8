# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "samples" / "webapp"


@pytest.fixture
def replay(habitus, tmp_path):
    def run(detect: Path, *more: object, **environment: str):
        out = tmp_path / "out.jsonl"
        learn = SAMPLE / "learn.jsonl"
        done = habitus("replay", "--learn", learn, "--detect", detect, "--out", out, *more, **environment)
        lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
        alerts = tmp_path / "out.alerts.jsonl"
        raised = [json.loads(line) for line in alerts.read_text().splitlines()] if alerts.exists() else []
        return done, lines, raised

    return run


def records(name: str) -> list[dict]:
    return [json.loads(line) for line in (SAMPLE / name).read_text().splitlines()]


def write(path: Path, *lines: object) -> Path:
    raw = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def test_the_sample_gives_one_verdict_a_line_and_one_alert_an_attack(replay):
    done, lines, alerts = replay(SAMPLE / "detect.jsonl")
    assert done.returncode == 0, done.stderr
    judged = records("detect.jsonl")
    assert [line["line"] for line in lines] == list(range(1, len(judged) + 1))
    assert all(set(line) == {"line", "verdict", "reason", "score", "engines", "alert"} for line in lines)
    by_name = {
        judged[line["line"] - 1]["process"]["name"]: line for line in lines if line["verdict"] == "anomaly"
    }
    assert set(by_name) == {"xmrig", "java"}
    assert by_name["xmrig"]["reason"] == "unknown-path"
    assert by_name["java"]["reason"] in {"unknown-argument", "novel-slot"}
    assert {line["alert"] for line in by_name.values()} == {alert["id"] for alert in alerts}
    assert len(alerts) == 2
    for line in by_name.values():
        assert line["engines"]["rule"]["points"] > 0
        assert line["engines"]["llm"] == {"points": 0.0, "abstained": True}
        assert line["score"] > 40
    known = next(line for line in lines if line["verdict"] == "known")
    assert (known["reason"], known["score"], known["engines"], known["alert"]) == (None, None, {}, None)


def test_bad_lines_are_named_and_nothing_else_is_lost(replay, tmp_path):
    exec_line = next(one for one in records("detect.jsonl") if one["op"] == "exec")
    hostile = json.loads(json.dumps(exec_line))
    hostile["process"]["argv"] = ["java", "\x1b[31mred\x07", "nul\x00inside", "\u202etxt"]
    without_image = json.loads(json.dumps(exec_line))
    del without_image["container"]["image"]
    raw = json.dumps(exec_line).encode().replace(b'"ts"', b'"not\xffutf8": 1, "ts"')
    detect = write(tmp_path / "bad.jsonl", exec_line, b"{broken \x1b[2J", without_image, hostile, raw)
    done, lines, _ = replay(detect)
    assert done.returncode == 0, done.stderr
    assert [line["line"] for line in lines] == [1, 4, 5]
    assert lines[0]["verdict"] == "known"
    assert "bad.jsonl:2: " in done.stderr
    assert "bad.jsonl:3: container.image is missing" in done.stderr
    assert "bad.jsonl:5: byte" in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


def test_an_image_that_was_never_learned_is_unknown_from_its_first_event(replay, tmp_path):
    strangers = []
    for record in records("detect.jsonl")[:8]:
        record["container"]["image"] = "stranger:v9"
        strangers.append(record)
    done, lines, _ = replay(write(tmp_path / "strangers.jsonl", *strangers))
    assert done.returncode == 0, done.stderr
    assert [(line["verdict"], line["reason"]) for line in lines] == [("anomaly", "unknown-path")] * 8


def test_a_replay_says_how_near_each_profile_came_and_learns_no_miner(replay, tmp_path):
    """The figures stand in the JSON; what a rule hits in the learning data is reported and not learned."""
    miner = next(one for one in records("detect.jsonl") if one["process"]["name"] == "xmrig")
    learn = write(tmp_path / "learn.jsonl", *records("learn.jsonl"), miner)
    done, lines, alerts = replay(SAMPLE / "detect.jsonl", "--json", "--learn", learn)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)["convergence"]["webapp:v1"]
    assert shown["blockers"] == ["window", "news"]
    assert 0 < shown["unseen"] < shown["unseen_at_most"] < 1
    assert shown["curve"][-1][1] == shown["window_new"] > 0
    judged = records("detect.jsonl")
    anomalies = {judged[one["line"] - 1]["process"]["name"] for one in lines if one["verdict"] == "anomaly"}
    assert anomalies == {"xmrig", "java"}
    assert len(alerts) == 2


def test_settings_reach_the_services(replay, tmp_path):
    settings = tmp_path / "quiet.toml"
    settings.write_text("[scorer]\nalert_at = 100\n")
    done, lines, alerts = replay(SAMPLE / "detect.jsonl", "--settings", settings)
    assert done.returncode == 0, done.stderr
    assert sum(line["verdict"] == "anomaly" for line in lines) == 2
    assert alerts == []


def test_a_replay_wakes_nobody(replay, tmp_path):
    """The sinks of the settings get none of its alerts."""
    settings, told = tmp_path / "sinks.toml", tmp_path / "told.jsonl"
    settings.write_text(f'[scorer]\nsinks = ["file"]\n[scorer.sink.file]\npath = "{told}"\n')
    done, _, alerts = replay(SAMPLE / "detect.jsonl", "--settings", settings)
    assert done.returncode == 0, done.stderr
    assert len(alerts) == 2
    assert not told.exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[profiler]\nwindw_s = 1\n", "profiler.windw_s: no such setting"),
        ("[scorer]\nengines = ['ruel']\n", "ruel"),
    ],
)
def test_wrong_settings_end_in_one_line_that_names_the_key(replay, tmp_path, content, named):
    settings = tmp_path / "wrong.toml"
    settings.write_text(content)
    done, lines, _ = replay(SAMPLE / "detect.jsonl", "--settings", settings)
    assert done.returncode in {1, 2}
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert lines == []


def test_a_recording_without_an_event_is_named(replay, tmp_path):
    empty = write(tmp_path / "empty.jsonl")
    done, lines, _ = replay(empty, "--learn", write(tmp_path / "none.jsonl", b"{broken"))
    assert done.returncode == 0
    assert "none.jsonl has no event that can be read" in done.stderr
    assert "empty.jsonl has no event that can be read" in done.stderr
    assert lines == []


@pytest.mark.parametrize(("out", "why"), [("", "it is a folder"), ("none/o.jsonl", "no such folder")])
def test_a_place_for_verdicts_that_is_none_is_named_before_the_work(habitus, tmp_path, out, why):
    recordings = ("--learn", SAMPLE / "learn.jsonl", "--detect", SAMPLE / "detect.jsonl")
    done = habitus("replay", *recordings, "--out", tmp_path / out)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_file_is_a_usage_error(habitus, tmp_path):
    done = habitus("replay", "--learn", "none.jsonl", "--detect", "none.jsonl", "--out", tmp_path / "o")
    assert done.returncode == 2
    assert "none.jsonl" in done.stderr

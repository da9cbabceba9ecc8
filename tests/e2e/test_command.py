# SPDX-License-Identifier: Apache-2.0
"""The command's manners: help that teaches, errors in one line, nothing left behind."""

import json
import signal
import time
from pathlib import Path

import pytest

from habitus.alerts import Alert
from habitus.interchange import GoodLine, read_lines

SAMPLE = Path(__file__).parents[1] / "samples" / "webapp"
COMMANDS = ["up", "doctor", "record", "replay", "alerts", "profile list", "profile show", "demo"]
COMMANDS += [
    f"profile {name}" for name in ("detect", "relearn", "lock", "unlock", "forget", "benign", "undo", "diff")
]
COMMANDS += [f"alerts {name}" for name in ("show", "ack", "benign", "reopen")]
COMMANDS += ["targets show", "targets set", "targets add", "targets clear", "llm providers", "llm evaluate"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(habitus, name):
    done = habitus(*name.split(), "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def one_line(done, *named: str) -> None:
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in named:
        assert word in done.stderr


def test_an_unreachable_broker_is_named(habitus):
    one_line(habitus("alerts", HABITUS_NATS_URL="nats://127.0.0.1:1"), "nats://127.0.0.1:1")


def test_without_a_stack_the_command_says_how_to_start_one(habitus):
    one_line(habitus("profile", "list"), "habitus up")


def test_a_setting_that_does_not_exist_is_named(habitus):
    one_line(habitus("alerts", HABITUS_NATS_ULR="x"), "HABITUS_NATS_ULR")


def test_doctor_speaks_json_and_by_exit_code(habitus, tmp_path):
    done = habitus("doctor", "--json")
    diagnosis = json.loads(done.stdout)
    [spool] = [check for check in diagnosis["checks"] if check["name"] == "spool"]
    assert str(tmp_path / "state" / "spool") in spool["found"]
    assert done.returncode == (0 if diagnosis["ok"] else 1)
    assert {"Linux", "BTF"} <= {check["name"] for check in diagnosis["checks"]}
    told = habitus("doctor").stdout
    assert all(section in told for section in {check["section"] for check in diagnosis["checks"]})


@pytest.mark.kernel
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_up_watches_this_host_and_a_signal_ends_every_child(up, habitus, signum):
    diagnosis = habitus("doctor")
    if diagnosis.returncode:
        pytest.skip(f"the kernel can't be watched here: {diagnosis.stdout}")
    running = up()
    said = running.wait_for("container")
    assert "watching" in said or "make demo" in said
    children = running.children()
    assert len(children) == 7
    assert running.interrupt(signum) == 0
    assert "stopped" in running.said.read_text()
    left = {
        pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children if Path(f"/proc/{pid}").exists()
    }
    assert left == {}


def test_where_the_kernel_cannot_be_watched_up_says_why_and_plays_the_sample(up, habitus):
    running = up("--sample", SAMPLE, HABITUS_COLLECTOR_OBJECTS="/nonexistent")
    said = running.wait_for("sample played")
    assert "objects" in said
    assert "container cryptomining" in running.wait_for("高危：容器挖矿行为检测")
    raised = habitus("alerts", "--json")
    assert raised.returncode == 0, raised.stderr
    assert [Alert.model_validate_json(line).who.name for line in raised.stdout.splitlines()] == [
        "xmrig",
        "java",
    ]
    listed = json.loads(habitus("profile", "list", "--json").stdout)
    assert [(one["image_key"], one["state"]) for one in listed] == [("webapp:v1", "detect")]
    shown = habitus("profile", "show", "webapp:v1")
    assert "healthcheck" in shown.stdout
    assert "chance that the next event is new" in shown.stdout
    one_line(habitus("profile", "show", "none:v1"), "none:v1")
    assert "API http://127.0.0.1:" in running.said.read_text()
    [alert, _] = (json.loads(line)["id"] for line in raised.stdout.splitlines())
    marked = habitus("profile", "benign", alert, "--who", "ann", "--why", "a drill", "--json")
    assert json.loads(marked.stdout)["mark"]["who"] == "ann"
    assert "a drill" in habitus("profile", "show", "webapp:v1").stdout
    one_line(habitus("profile", "benign", "a-0"), "a-0", "habitus alerts")
    assert habitus("profile", "lock", "webapp:v1").returncode == 0
    one_line(habitus("profile", "undo", "webapp:v1", "f1"), "webapp:v1", "locked")
    assert "已解锁" in habitus("profile", "unlock", "webapp:v1", "--lang", "zh").stdout
    assert habitus("profile", "undo", "webapp:v1", "f1").returncode == 0
    chinese = habitus("alerts", "--lang", "zh")
    assert "建议" in chinese.stdout
    assert running.interrupt() == 0


def test_up_prints_alerts_as_json_lines_where_asked(up):
    running = up("--json", "--sample", SAMPLE, HABITUS_COLLECTOR_OBJECTS="/nonexistent")
    running.wait_for("sample played")
    running.wait_for('"name":"java"')
    assert running.interrupt() == 0
    lines = [line for line in running.said.read_text().splitlines() if line.startswith("{")]
    assert [Alert.model_validate_json(line).who.name for line in lines] == ["xmrig", "java"]


@pytest.mark.kernel
def test_record_writes_what_a_replay_can_read(habitus, tmp_path):
    diagnosis = habitus("doctor")
    if diagnosis.returncode:
        pytest.skip(f"the kernel can't be watched here: {diagnosis.stdout}")
    done = habitus("record", tmp_path / "events.jsonl", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    written = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert told["events"] == len([one for one in read_lines(written) if isinstance(one, GoodLine)])


def test_a_second_up_says_that_one_runs_already(up, habitus):
    running = up("--sample", SAMPLE, HABITUS_COLLECTOR_OBJECTS="/nonexistent")
    running.wait_for("started")
    second = habitus("up", HABITUS_COLLECTOR_OBJECTS="/nonexistent")
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert running.interrupt() == 0


def test_children_end_when_the_command_is_killed(up):
    running = up("--sample", SAMPLE, HABITUS_COLLECTOR_OBJECTS="/nonexistent")
    running.wait_for("started")
    children = running.children()
    running.process.kill()
    running.process.wait()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in children):
        time.sleep(0.1)
    left = {
        pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children if Path(f"/proc/{pid}").exists()
    }
    assert left == {}

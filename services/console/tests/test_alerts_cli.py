# SPDX-License-Identifier: Apache-2.0
"""`habitus alerts` against a running store, against a broken one, and where there is none."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from console_making import TOKEN, alert, publish
from typer.testing import CliRunner

from habitus.alerts import Alert, Severity
from habitus.bus import Bus
from habitus_console.alert_client import AlertClient
from habitus_console.cli import app
from habitus_console.state import Api
from habitus_testing import eventually


@pytest.fixture
def habitus(monkeypatch, nats_server, tmp_path):
    """Run the command in this process; it knows this test's broker, and the store where that is set."""
    monkeypatch.setenv("HABITUS_NATS_URL", nats_server.settings.url)
    monkeypatch.setenv("HABITUS_NATS_TOKEN", nats_server.token)
    monkeypatch.setenv("HABITUS_CONSOLE_STATE", str(tmp_path / "none"))
    monkeypatch.setenv("COLUMNS", "200")

    async def run(*arguments: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["alerts", *arguments])
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
async def store(console, monkeypatch, bus: Bus):
    """A store that keeps three alerts."""
    await publish(
        bus,
        alert("a-10"),
        alert("a-11", severity=Severity.CRITICAL, where={"namespace": "bank", "pod": "\x1b[31mdb"}),
        alert("b-20", techniques=["T1059"], rule="shell"),
    )
    process = console()
    client = AlertClient(Api(process.address, TOKEN))
    await eventually(lambda: len(client.page().alerts) == 3)
    monkeypatch.setenv("HABITUS_CONSOLE_URL", process.address)
    monkeypatch.setenv("HABITUS_CONSOLE_TOKEN", TOKEN)
    return client


async def ids(habitus, *arguments: str) -> list[str]:
    code, out, err = await habitus("--json", *arguments)
    assert code == 0, err
    return [json.loads(line)["id"] for line in out.splitlines()]


async def test_alerts_are_listed_oldest_first_and_by_filter(store, habitus):
    assert await ids(habitus) == ["a-10", "a-11", "b-20"]
    assert await ids(habitus, "--last", "1") == ["b-20"]
    assert await ids(habitus, "--severity", "critical", "--since", "1h") == ["a-11"]
    assert await ids(habitus, "--namespace", "ba*", "--status", "open") == ["a-11"]
    assert await ids(habitus, "--rule", "shell", "--technique", "T1059*", "--title", "挖矿") == ["b-20"]
    assert await ids(habitus, "--status", "benign", "--status", "acknowledged") == []
    assert "没有告警" in (await habitus("--status", "benign", "--lang", "zh"))[1]


async def test_what_is_shown_is_escaped_and_says_the_state(store, habitus):
    for arguments in ([], ["--brief"], ["--json"], ["show", "a-11"], ["show", "a-11", "--json"]):
        code, out, _ = await habitus(*arguments)
        assert code == 0
        assert "\x1b[31m" not in out
        assert "a-11" in out
    assert "a-11 · 待处理" in (await habitus("show", "a-11", "--lang", "zh"))[1]
    one = json.loads((await habitus("--json"))[1].splitlines()[1])
    assert (one["status"], Alert.model_validate(one).where.pod) == ("open", "\x1b[31mdb")


async def test_an_alert_is_acknowledged_and_opened_again_by_how_its_id_begins(store, habitus):
    assert (await habitus("ack", "b", "--who", "ann"))[:2] == (0, "b-20 is acknowledged\n")
    assert await ids(habitus, "--status", "acknowledged") == ["b-20"]
    code, out, _ = await habitus("reopen", "b-20", "--who", "bob", "--why", "not mine", "--json")
    assert (code, json.loads(out)["status"]) == (0, "open")
    told = (await habitus("show", "b-2"))[1]
    for word in ("raised", "acknowledged", "reopened", "ann", "bob", "not mine"):
        assert word in told


async def test_brief_json_is_the_entry_of_each_alert(store, habitus):
    code, out, _ = await habitus("--brief", "--json", "--severity", "critical")
    assert code == 0
    one = json.loads(out)
    assert (one["id"], one["severity"], one["status"]) == ("a-11", "critical", "open")
    assert one["pod"] == r"\x1b[31mdb"
    assert "alert" not in one


async def test_deciding_what_is_decided_already_says_that_nothing_changed(store, habitus):
    await habitus("ack", "b", "--who", "ann", "--why", "mine")
    code, out, _ = await habitus("ack", "b", "--who", "bob", "--why", "no, mine")
    assert (code, out) == (0, "b-20 is acknowledged already: nothing was changed\n")
    assert [each.who for each in store.one("b-20").history if each.act == "acknowledge"] == ["ann"]
    assert "未作更改" in (await habitus("ack", "b", "--lang", "zh"))[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", ""], "an empty id names no alert"),
        (["ack", "a-1"], "a-1 is not one alert but several: a-11, a-10"),
        (["ack", "x"], "no alert x; see `habitus alerts`"),
        (["benign", "a-10", "--why", "a drill"], "has no profiler"),
        (["--json", "ack", "a-10"], "--json stands before `ack`"),
        (["--since", "nix"], "--since nix"),
        (["--since", "999999w"], "--since 999999w"),
        (["--title", "x" * 500], "title"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(store, habitus, arguments, said):
    code, out, err = await habitus(*arguments)
    assert code != 0
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


async def test_benign_needs_a_reason(store, habitus):
    for arguments in ([], ["--why", ""], ["--why", " "]):
        code, _, err = await habitus("benign", "a-10", *arguments)
        assert code == 2
        assert "--why" in err
    assert store.one("a-10").status == "open"


async def test_following_shows_what_comes_and_nothing_twice(store, bus: Bus):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "habitus_console", "alerts", "-f", "--json", "--severity", "high"),
        stdout=subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip
    lines = process.stdout
    assert [json.loads(await lines.readline())["id"] for _ in range(3)] == ["a-10", "a-11", "b-20"]
    await publish(bus, alert("a-10", revision=2), alert("c-1", severity=Severity.LOW), alert("c-2"))
    assert json.loads(await asyncio.wait_for(lines.readline(), 20))["id"] == "c-2"
    process.terminate()
    assert await lines.read() == b""
    await process.wait()


async def test_where_no_store_runs_the_stream_is_shown_and_filters_say_what_they_need(habitus, bus: Bus):
    await publish(bus, alert("a-1"))
    assert await ids(habitus) == ["a-1"]
    for arguments in (["--status", "open"], ["--brief"], ["show", "a-1"], ["ack", "a-1"]):
        code, _, err = await habitus(*arguments)
        assert code == 1
        assert "no alert store runs" in err


async def test_a_store_that_does_not_answer_is_named_and_the_stream_shown(habitus, bus: Bus, monkeypatch):
    await publish(bus, alert("a-1"))
    monkeypatch.setenv("HABITUS_CONSOLE_URL", "http://127.0.0.1:1")
    assert "HABITUS_CONSOLE_TOKEN" in (await habitus())[2]
    monkeypatch.setenv("HABITUS_CONSOLE_TOKEN", TOKEN)
    code, out, err = await habitus("--json")
    assert (code, json.loads(out)["id"]) == (0, "a-1")
    assert "http://127.0.0.1:1" in err
    code, _, err = await habitus("--status", "open")
    assert code == 1
    assert "http://127.0.0.1:1" in err


async def test_a_wrong_token_is_said(store, habitus, monkeypatch):
    monkeypatch.setenv("HABITUS_CONSOLE_TOKEN", "b" * 16)
    code, _, err = await habitus()
    assert code == 1
    assert "the bearer token is missing or wrong" in err

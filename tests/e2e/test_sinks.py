# SPDX-License-Identifier: Apache-2.0
"""`habitus sinks` and a running scorer: list, test, dead letters, send again."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from receivers import Receiver, alert_of, receiving

from habitus import subjects
from habitus_testing import NatsServer, ServiceProcess, eventually


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def sinks(nats_server: NatsServer) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `habitus sinks …` against this test's broker."""
    habitus = Path(sys.executable).parent / "habitus"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [habitus, "sinks", *words]
        return subprocess.run(
            command, env=nats_server.environment, capture_output=True, text=True, check=False, timeout=60
        )

    return run


async def test_a_sink_is_tested_and_gets_its_dead_letters_when_it_is_well_again(
    bus, sinks, receiver: Receiver, serve: Callable[..., ServiceProcess]
):
    receiver.answers = [(403, {})]
    table = {"hook": {"kind": "webhook", "url": f"{receiver.url}/s3cret", "language": "zh"}}
    process = serve("scorer", HABITUS_SCORER_SINKS="hook", HABITUS_SCORER_SINK=json.dumps(table))
    alert = alert_of("\x1b[2J\u202e<!channel>")
    await bus.js.publish(subjects.alerts(alert.severity), alert.model_dump_json().encode())
    await eventually(lambda: receiver.asked)
    [state] = json.loads(sinks("list", "--json").stdout)
    assert (state["name"], state["kind"], state["waiting"], state["dead"]) == ("hook", "webhook", 0, 1)
    shown = sinks("dead", "--lang", "zh").stdout
    assert "answered 403" in " ".join(shown.split())
    assert "\x1b" not in shown
    [letter] = [json.loads(line) for line in sinks("dead", "hook", "--json").stdout.splitlines()]
    assert letter["alert"]["id"] == alert.id
    failed = sinks("test", "hook")
    assert (failed.returncode, "sink hook: answered 403" in failed.stderr) == (1, True)
    assert sinks("resend", "hook").returncode == 1
    receiver.answers = [(200, {})]
    assert "took the sample alert" in sinks("test", "hook").stdout
    again = sinks("resend", "hook", "--json")
    assert json.loads(again.stdout) == {"sink": "hook", "taken": 1, "left": 0}, again.stderr
    assert receiver.asked[-1].json["id"] == alert.id
    assert "no dead letters" in sinks("dead", "--lang", "en").stdout
    for operation in ("test", "dead", "resend"):
        slip = sinks(operation, "elsewhere")
        assert (slip.returncode, "no such sink; it names: hook" in slip.stderr) == (1, True), operation
    assert "s3cret" not in process.said


def test_without_a_scorer_it_says_so(sinks):
    done = sinks("list")
    assert done.returncode == 1
    assert "no scorer answers" in done.stderr

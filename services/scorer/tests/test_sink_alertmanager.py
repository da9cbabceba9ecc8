# SPDX-License-Identifier: Apache-2.0
"""The sink `alertmanager` against a real Alertmanager, read back by its API."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from receivers import HOSTILE, UNPACKED, Receiver, alert_of, free_port, receiving, running, services

from habitus.alerts import Severity
from habitus_scorer.sinks.alertmanager import AlertmanagerSink
from habitus_testing import until

ALERTMANAGER = UNPACKED / "usr/bin/prometheus-alertmanager"
ROUTES = """\
route: {{receiver: out, group_by: [alert], group_wait: 100ms, group_interval: 200ms}}
receivers: [{{name: out, webhook_configs: [{{url: "{url}"}}]}}]
"""


# The package was unpacked and not installed, and the program looks for its templates at a fixed place.
OVER = 'mount -t overlay over -o "lowerdir=$0/usr/share:/usr/share" /usr/share && exec "$@"'


def read(address: str, path: str):
    with urllib.request.urlopen(f"{address}{path}", timeout=5) as answer:  # noqa: S310
        return json.load(answer)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/-/ready", timeout=1):  # noqa: S310
            return True
    except OSError:
        return False


@pytest.fixture
def notified() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def alertmanager(tmp_path: Path, notified: Receiver) -> Iterator[str]:
    """Run it privately; what it notifies of goes to `notified`."""
    assert ALERTMANAGER.exists(), "Alertmanager is missing: run `deploy/setup/bootstrap.sh tests`"
    (tmp_path / "am.yml").write_text(ROUTES.format(url=notified.url))
    port, log = free_port(), tmp_path / "am.log"
    command = [
        "unshare", "--mount", "--map-root-user", "sh", "-c", OVER, UNPACKED,
        ALERTMANAGER, f"--config.file={tmp_path}/am.yml", f"--storage.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    with running(command, log):
        address = f"http://127.0.0.1:{port}"
        until(lambda: answers(address), log.read_text)
        yield address


async def test_revisions_are_one_alert_and_a_rise_resolves_the_lower(alertmanager: str, notified: Receiver):
    """Same labels while the severity stays; on a rise the new entry fires and the old one ends, no other."""
    sink = AlertmanagerSink(services(url=alertmanager, link="https://habitus.example/alerts/{id}"))
    now = time.time_ns()
    first = alert_of(raised=now, first_seen=now, severity=Severity.MEDIUM)
    grown = first.model_copy(update={"revision": 2, "score": 66.0})
    worse = first.model_copy(update={"revision": 3, "score": 95.0, "severity": Severity.CRITICAL})
    try:
        await sink.send(first)
        await sink.send(grown)
        [held] = read(alertmanager, "/api/v2/alerts")
        assert held["labels"]["severity"] == "medium"
        assert held["annotations"]["score"] == "66"
        assert held["generatorURL"] == "https://habitus.example/alerts/a-0123456789abcdef"
        until(lambda: notified.asked)
        await sink.send(worse)
        [held] = read(alertmanager, "/api/v2/alerts")
        assert held["labels"] == {
            "alertname": "HabitusAlert", "alert": "a-0123456789abcdef", "severity": "critical",
            "node": "sample", "container": "sample", "image": "habitus-sample:v1",
        }  # fmt: skip
        rise = {("firing", "medium"), ("firing", "critical"), ("resolved", "medium")}
        until(lambda: _statuses(notified) >= rise)
    finally:
        await sink.close()
    assert {severity for _, severity in _statuses(notified)} == {"medium", "critical"}


def _statuses(notified: Receiver) -> set[tuple[str, str]]:
    told = [one for asked in notified.asked for one in asked.json["alerts"]]
    return {(one["status"], one["labels"]["severity"]) for one in told}


async def test_it_takes_every_hostile_text(alertmanager: str):
    """Neither a label nor an annotation is refused, and none reaches a reader raw."""
    sink = AlertmanagerSink(services(url=alertmanager, language="zh"))
    now = time.time_ns()
    try:
        for number, hostile in enumerate(HOSTILE.values()):
            await sink.send(alert_of(hostile, id=f"a-{number}", raised=now, first_seen=now + 10**12))
    finally:
        await sink.close()
    held = read(alertmanager, "/api/v2/alerts")
    assert len({one["labels"]["alert"] for one in held}) == len(HOSTILE)
    assert not any(mark in json.dumps(held, ensure_ascii=False) for mark in ("\u202e", "\x1b", "\\u001b"))

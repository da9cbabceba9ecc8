# SPDX-License-Identifier: Apache-2.0
"""Tables of sinks: several of a kind, and what cannot be used is named by its key."""

import importlib
from pathlib import Path

import pytest
from receivers import alert_of, certificate

from habitus import plugins
from habitus.alerts import Severity
from habitus.plugins import PluginFault
from habitus.settings import ScorerSettings
from habitus.sinks import GROUP
from habitus_scorer.delivery import seated
from habitus_scorer.sinks.webhook import WebhookSink

URL = "http://127.0.0.1:1/"


def test_several_sinks_of_one_kind_stand_side_by_side():
    tables = {
        "ops": {"kind": "webhook", "url": URL, "min_severity": "high"},
        "audit": {"kind": "webhook", "url": URL, "language": "zh", "timeout_s": 5},
    }
    made = seated(ScorerSettings(sinks=["ops", "audit", "stdout", "ops"], sink=tables))
    assert [name for name, _, _ in made] == ["ops", "audit", "stdout"]
    assert [type(sink) for _, sink, _ in made[:2]] == [WebhookSink] * 2
    assert (made[0][2].min_severity, made[1][2].min_severity) == (Severity.HIGH, Severity.INFO)
    assert (made[1][2].language, made[1][2].timeout_s) == ("zh", 5)


def test_every_kind_of_the_document_is_installed():
    known = {
        "alertmanager", "falcosidekick", "file", "ocsf", "slack", "stdout", "syslog", "webhook",
    }  # fmt: skip
    assert known <= set(plugins.names(GROUP))


def test_a_table_that_no_sink_uses_is_said(caplog):
    seated(ScorerSettings(sinks=[], sink={"slack": {"url": URL}}))
    assert "scorer.sink.slack: scorer.sinks does not name it" in caplog.text


WRONG = {
    "unknown kind": ("x", {"kind": "pigeon"}, "no plugin 'pigeon' in group 'habitus.sinks'"),
    "no kind": ("pigeon", {}, "no plugin 'pigeon'"),
    "bad name": ("A b", {"kind": "stdout"}, "scorer.sinks: 'A b' is no name"),
    "unknown key": ("stdout", {"colour": 1}, "scorer.sink.stdout.colour: no such setting"),
    "severity": ("stdout", {"min_severity": "loud"}, "scorer.sink.stdout.min_severity"),
    "language": ("stdout", {"language": "fr"}, "scorer.sink.stdout.language"),
    "attempts": ("stdout", {"attempts": 0}, "scorer.sink.stdout.attempts"),
    "no address": ("webhook", {}, "scorer.sink.webhook: .*exactly one of url, url_file and url_env"),
    "two addresses": ("webhook", {"url": URL, "url_env": "X"}, "exactly one of"),
    "no http": ("slack", {"url": "ftp://x"}, "scorer.sink.slack: its address is none of"),
    "header": ("webhook", {"url": URL, "headers": {"X": "ä\n"}}, "scorer.sink.webhook.headers"),
    "no file": ("webhook", {"url": URL, "secret_file": "/none"}, "scorer.sink.webhook.secret_file: key file"),
    "no variable": ("webhook", {"url": URL, "secret_env": "NONE"}, "webhook.secret_env: .* NONE is not set"),
    "no url variable": ("slack", {"url_env": "NONE"}, "slack.url_env: environment variable NONE is not set"),
    "no authority": ("webhook", {"url": URL, "ca_file": "/none"}, "webhook.ca_file /none: No such file"),
    "syslog": ("syslog", {"address": "relp://x"}, "scorer.sink.syslog.address: give udp://"),
    "syslog port": ("syslog", {"address": "udp://x:99999"}, "scorer.sink.syslog.address: give udp://"),
    "facility": ("syslog", {"address": "udp://x", "facility": "mail"}, "scorer.sink.syslog.facility"),
    "folder": ("file", {"path": "/no/such/file"}, "scorer.sink.file.path /no/such/file: No such file"),
    "neither": ("ocsf", {}, "scorer.sink.ocsf.path: Field required"),
    "both": ("ocsf", {"path": "x", "url": URL}, "scorer.sink.ocsf.path: give it or url, not both"),
}


@pytest.mark.parametrize(("name", "table", "said"), WRONG.values(), ids=list(WRONG))
def test_start_names_the_key_in_one_line(name: str, table: dict, said: str):
    with pytest.raises(PluginFault, match=said) as fault:
        seated(ScorerSettings(sinks=[name], sink={name: table}))
    assert "\n" not in str(fault.value)


def test_a_certificate_that_is_none_is_named(tmp_path: Path):
    cert, key = certificate(tmp_path)
    for keys in ({"ca_file": key}, {"cert_file": cert}):
        with pytest.raises(PluginFault, match=f"scorer.sink.webhook.{next(iter(keys))}"):
            seated(ScorerSettings(sinks=["webhook"], sink={"webhook": {"url": URL, **keys}}))


async def test_a_third_partys_sink_comes_through_the_same_door(tmp_path: Path, monkeypatch):
    """An installed package adds a kind; its table is checked by its own model and named the same way."""
    (tmp_path / "pager_sink.py").write_text("""\
from habitus.sections import Section

class Settings(Section):
    number: str

class Pager:
    def __init__(self, services):
        self.settings, self.language, self.sent = services.checked(Settings), services.language, []
    async def send(self, alert):
        self.sent.append(alert.title.in_(self.language))
""")
    info = tmp_path / "habitus_pager-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: habitus-pager\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[habitus.sinks]\npager = pager_sink:Pager\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    table = {"kind": "pager", "language": "zh", "number": "112"}
    [(_, sink, _)] = seated(ScorerSettings(sinks=["night"], sink={"night": table}))
    await sink.send(alert_of())
    assert sink.sent == ["测试：示例告警"]
    with pytest.raises(
        PluginFault, match=r"setting scorer\.sink\.night\.nummer: no such setting|night\.number"
    ):
        seated(ScorerSettings(sinks=["night"], sink={"night": {"kind": "pager", "nummer": "1"}}))

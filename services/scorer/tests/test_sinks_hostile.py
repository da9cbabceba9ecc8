# SPDX-License-Identifier: Apache-2.0
"""Hostile texts in every format: nothing breaks out, nothing grows without bound, nothing is invisible."""

import json
import re
import unicodedata

import pytest
from receivers import HOSTILE, alert_of

from habitus.alerts import Severity
from habitus.text import safe_json
from habitus_scorer.sinks.alertmanager import entries_of
from habitus_scorer.sinks.falcosidekick import falco_of
from habitus_scorer.sinks.ocsf import finding_of
from habitus_scorer.sinks.slack import message_of
from habitus_scorer.sinks.syslog_format import Sender, local_line, rfc5424

pytestmark = pytest.mark.parametrize("hostile", HOSTILE.values(), ids=list(HOSTILE))
SENDER = Sender(10, "node 1\n<13>", 7, "zh")
PARAMETER = r' (?P<name>[!-<>-\\^-~]{1,32})="(?P<value>(?:[^"\\\]]|\\["\\\]])*)"'
HEADER = (
    r"<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]{1,255} [!-~]{1,48} [!-~]{1,128} [!-~]{1,32} "
)
RFC5424 = re.compile(rf"{HEADER}\[habitus@32473(?:{PARAMETER})*\] (?P<text>.*)", re.DOTALL)


def texts(value) -> list[str]:
    """Return every string of a JSON value, keys too."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def visible(text: str, *allowed: str) -> bool:
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return all(one in allowed or unicodedata.category(one) not in bad for one in text)


def test_slack_shows_it_literally(hostile: str):
    """No mention, link or format, no block beyond Slack's limits."""
    message = message_of(alert_of(hostile), "zh")
    blocks = message["blocks"]
    assert len(blocks) <= 50
    for text in texts(message):
        assert visible(text, "\n")
        assert "<" not in text
        assert ">" not in text
        assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", text)
    for block in blocks:
        if block["type"] == "section":
            assert block["text"]["verbatim"]
            assert len(block["text"]["text"]) <= 3000
            spans = [line.split("`") for line in block["text"]["text"].split("\n")]
            assert {len(span) for span in spans} <= {1, 3}
    assert len(blocks[0]["text"]["text"]) <= 150 + 4 * 140
    assert len(message["text"]) < 4000


def test_syslog_is_one_message_of_rfc_5424_within_its_size(hostile: str):
    """Header, structured data with its three escapes, and text: whatever is observed."""
    for most in (480, 2048, 8192):
        raw = rfc5424(alert_of(hostile), SENDER, most)
        assert len(raw) <= most
        text = raw.decode()
        found = RFC5424.fullmatch(text)
        assert found, text
        assert found[1] == str(8 * 10 + 2)
        shown = found["text"].removeprefix("\ufeff")
        assert visible(shown)
        assert found["text"].isascii() or found["text"].startswith("\ufeff")
        names = re.findall(PARAMETER, text)
        assert names[0] == ("alert", "a-0123456789abcdef")


def test_a_local_line_is_one_line(hostile: str):
    raw = local_line(alert_of(hostile), SENDER, 8192)
    assert len(raw) <= 8192
    assert visible(raw.decode())


def test_alertmanager_takes_labels_that_are_the_same_in_every_revision(hostile: str):
    """What changes between revisions is no label, and each text is bounded."""
    first = alert_of(hostile)
    grown = alert_of(hostile, revision=2, title=first.advice, score=99, who=first.who)
    over = [Severity.LOW, Severity.HIGH]
    [one] = entries_of(first, "en", 60)
    two, *lower = entries_of(grown, "en", 60, over=over)
    assert one["labels"] == two["labels"]
    assert [entry["labels"] for entry in lower] == [
        one["labels"] | {"severity": severity} for severity in over
    ]
    assert all(entry["endsAt"] > entry["startsAt"] for entry in (one, two, *lower))
    assert all(visible(text, "\n") and len(text) < 3000 for text in texts([one, two]))


def test_falcos_output_is_one_line(hostile: str):
    told = falco_of(alert_of(hostile), "zh")
    assert all(visible(text) for text in texts(told))
    assert len(json.dumps(told)) < 100_000


def test_ocsf_is_bounded_and_visible(hostile: str):
    finding = finding_of(alert_of(hostile), "zh")
    assert all(visible(text, "\n") for text in texts(finding))
    assert len(json.dumps(finding)) < 200_000


def test_the_whole_alert_comes_back_from_its_json(hostile: str):
    alert = alert_of(hostile)
    line = safe_json(alert.model_dump_json())
    assert visible(line)
    assert type(alert).model_validate_json(line) == alert

# SPDX-License-Identifier: Apache-2.0
"""Whatever the width, nothing of a row is cut: an image key is what the next command is given."""

import pytest
from rich.cells import cell_len

from habitus.profiles import ProfileSummary
from habitus_alerts import shown
from habitus_console import alert_view, profile_view
from habitus_console.store.records import Entry

KEY = f"registry.example.com/team/webapp@sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize("width", [24, 40, 69, 80, 120, 250])
def test_a_key_is_whole_at_every_width(width):
    one = ProfileSummary(image_key=KEY, partition=0, state="detect", revision=12345)
    text = shown(profile_view.summaries([one]), width=width)
    letters = "".join(one for one in text if one.isascii() and not one.isspace())
    assert "…" not in text
    assert "detect" in text
    if width < 70:  # beside each other in a table its pieces stand between other cells
        assert KEY in letters
    assert all(len(line) <= width for line in text.splitlines())


@pytest.mark.parametrize("width", range(20, 140, 7))
def test_nothing_reaches_beyond_the_terminal(width):
    entry = {"number": 1, "status": "open", "severity": "high", "score": 80, "revision": 1, "version": 1}
    names = {"node": "n", "namespace": "shop", "pod": "web-0", "container": "web", "image": KEY}
    told = {"title": {"en": "High: container cryptomining", "zh": "高危：容器挖矿行为检测"}}
    times = {"first_seen": 1, "raised": 1, "changed": 1}
    one = Entry(id="a-d26fc7947a914cb3", techniques=[], rules=[], **entry, **names, **told, **times)
    for language in ("en", "zh"):
        lines = shown(alert_view.table([one], language), width=width).splitlines()
        assert max(map(cell_len, lines)) <= width
        assert any("a-d26fc7947a914cb3" in line for line in lines) or width < 28


def test_on_a_narrow_terminal_each_thing_is_a_block_of_titled_lines():
    some = [ProfileSummary(image_key=f"a:{n}", partition=0, state="learn", revision=n) for n in (1, 2)]
    lines = [line.rstrip() for line in shown(profile_view.summaries(some), width=40).splitlines()]
    assert lines[0] == "image   a:1"
    assert "rev     1" in lines
    assert lines.index("") < lines.index("image   a:2")

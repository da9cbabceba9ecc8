# SPDX-License-Identifier: Apache-2.0
"""Whatever is printed, in whatever locale and to whoever reads it: escaped and whole, never a traceback."""

import json
import os
import signal
import subprocess
import sys
import time
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from habitus_alerts import HOSTILE
from habitus_console import bills_cli, terminal

COMMAND = [sys.executable, "-m", "habitus_console"]


@pytest.mark.parametrize("text", [*HOSTILE, "\u202e", "\x9b31m", "\u2028", "\ud800", "\x7f"])
def test_json_shows_no_control_and_means_the_same(capsys, text):
    terminal.document({"image": text, text: [1]})
    shown = capsys.readouterr().out
    assert not any(one != "\n" and unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl"} for one in shown)
    assert json.loads(shown) == {"image": text, text: [1]}


def test_json_is_not_broken_at_the_terminals_width(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    terminal.document({"image": "a b " * 40})
    assert json.loads(capsys.readouterr().out) == {"image": "a b " * 40}


@given(st.text(max_size=20))
def test_yaml_for_review_shows_no_direction_mark_and_means_the_same(text):
    written = bills_cli.written({"image": text, "name": "镜像"}, bills_cli.Form.YAML)
    assert not any(unicodedata.category(one) in {"Cf", "Cs"} for one in written)
    assert yaml.safe_load(written) == {"image": text, "name": "镜像"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
def test_a_locale_without_unicode_escapes_what_it_has_no_character_for(encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "HABITUS_NATS_URL": "nats://127.0.0.1:1"}
    for arguments in (["--help"], ["targets", "--help"], ["profile", "list"], ["doctor", "--lang", "zh"]):
        done = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, check=False)
        assert b"Traceback" not in done.stderr
        assert done.stdout or done.stderr


def test_an_interrupt_while_the_command_loads_ends_it_in_one_line():
    ended = set()
    for after_s in (0.1, 0.3, 0.5):
        with subprocess.Popen([*COMMAND, "record", "/dev/null"], stderr=subprocess.PIPE) as started:
            time.sleep(after_s)
            started.send_signal(signal.SIGINT)
            said = started.communicate(timeout=30)[1].decode()
        ended.add(started.returncode)
        assert "Traceback" not in said
    assert ended <= {0, 130, -signal.SIGINT}

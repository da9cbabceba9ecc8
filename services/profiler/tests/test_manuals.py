# SPDX-License-Identifier: Apache-2.0
"""Pages of programs' manuals: what they say goes before what a flag's name says."""

import pytest

from habitus_profiler import manuals
from habitus_profiler.forms import form_of
from habitus_profiler.leaf import Leaf

PAGE = """
[pgcopy]
also = "pgcopy.real"
same = "-h --host, -U --username, -q --quiet"
mild = "--quiet --exec-label --purge"
data = "--file"
hosts = "--host"
code = "--codec"
grave = "--raw --mode=open -w key=on"
asks = "inspect"
daily = "delete"
acts = "drain"

["pgcopy restore"]
also = "load"
grave = "--quiet"
mild = "--raw"
names = true
"""


@pytest.fixture(autouse=True)
def page(monkeypatch):
    """Only the page above is known."""
    found = manuals.read("test.toml", PAGE)
    by_name = {name: found.get(name, manuals.BLANK) for name in [*found, "pgcopy-16"]}
    by_name["pgcopy-16"] = found["pgcopy"]
    monkeypatch.setattr(manuals, "page", lambda program: by_name.get(program, manuals.BLANK))


def slots(*words, program="pgcopy"):
    """Return the slots of a command line; no reading of another one is remembered."""
    form_of.__globals__["_remembered"].cache_clear()
    return {f"{slot.kind}:{slot.value}" for slot in form_of((program, *words)).slots}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-U", "bob"], {"tuned:--username", "who:bob"}),
        (["--username", "bob"], {"tuned:--username", "who:bob"}),
        (["-q"], {"tuned:--quiet"}),
        (["--exec-label", "nightly"], {"tuned:--exec-label"}),
        (["--exec-label=drop"], {"tuned:--exec-label", "word:drop"}),
        (["--purge"], {"tuned:--purge"}),
        (["--host", "db7"], {"tuned:--host", "remote:db7"}),
        (["-h", "db7"], {"tuned:--host", "remote:db7"}),
        (["--file", "/data/in/x.csv"], {"tuned:--file"}),
        (["--file=/data/in/x.csv"], {"tuned:--file"}),
        (["--file", "/tmp/x.csv"], {"tuned:--file", "path:/tmp", "scratch:--file"}),
        (["--file", "/etc/shadow"], {"tuned:--file", "path:/etc/shadow", "word:shadow"}),
        (["--file", "/data/x.sh"], {"tuned:--file", "path:/data/*.sh"}),
        (["--codec", "fast"], {"tuned:--codec", "load:fast"}),
        (["--raw"], {"flag:--raw", "switch:--raw"}),
        (["--mode", "open"], {"tuned:--mode", "switch:--mode=open"}),
        (["--mode=fast,open"], {"tuned:--mode", "switch:--mode=open"}),
        (["--mode=fast"], {"tuned:--mode"}),
        (["-o", "key=on"], {"tuned:key=", "tuned:-o", "switch:key=on"}),
        (["-o", "key=off"], {"tuned:key=", "tuned:-o"}),
        (["-qw"], {"tuned:-qw", "switch:-w"}),
        (["delete", "x"], set()),
        (["drain", "x"], {"word:drain"}),
        (["--exec-label", "drain"], {"tuned:--exec-label", "word:drain"}),
        (["--file", "drain"], {"tuned:--file"}),
        (["-q", "restore", "--raw"], {"tuned:--quiet", "tuned:--raw"}),
        (["restore", "--raw"], {"tuned:--raw"}),
        (["restore", "-q"], {"flag:--quiet", "switch:--quiet"}),
        (["load", "--quiet"], {"flag:--quiet", "switch:--quiet"}),
        (["restore", "bash"], set()),
        (["bash"], {"command:bash"}),
        (["restore", "drain"], {"word:drain"}),
    ],
)
def test_a_page_says_what_an_argument_is(words, expected):
    """Spellings of one flag are one; what is mild, data, code, grave or everyday is so in this one only."""
    assert slots(*words) == expected
    assert slots(*words, program="pgcopy.real") == expected
    assert slots(*words, program="pgcopy-16") == expected


def test_what_no_page_names_is_graded_by_its_name():
    """The words of the page mean nothing elsewhere."""
    assert slots("--purge", program="other") == {"flag:--purge"}
    assert slots("delete", program="other") == {"word:delete"}
    assert slots("--raw", program="other") == {"tuned:--raw"}


def test_within_a_shell_s_text_each_command_has_its_own_page():
    """What stands before and behind another command is still read by its own."""
    found = slots("-c", "pgcopy --raw && other --raw && pgcopy delete", program="sh")
    assert {"switch:--raw", "tuned:other --raw"} <= found
    assert "word:delete" not in found


def test_a_script_is_read_by_its_own_page():
    """By the stem of the file or module that an interpreter runs."""
    assert "switch:--raw" in slots("/opt/pgcopy.py", "--raw", program="python3")
    assert "switch:--raw" in slots("-m", "pgcopy.cli", "--raw", program="python3")


def test_a_question_and_daily_work_need_no_vector():
    """New words that the page calls so are none."""
    leaf = Leaf()
    leaf.learn("/usr/bin/pgcopy", form_of(("pgcopy", "--host", "db7")))
    for words in (["inspect", "delete", "--host", "db7"], ["delete", "inspect", "orders", "users"]):
        assert leaf.is_quiet(form_of(("pgcopy", *words))), words
    assert not leaf.is_quiet(form_of(("pgcopy", "wander", "over", "orders", "users")))


def test_a_profile_that_was_learned_without_the_page_knows_what_it_learned():
    """Flags in their other spelling, and what is grave now."""
    leaf = Leaf()
    leaf.forms["pgcopy -U bob --raw --mode=open restore --quiet drain"] = 1
    leaf.retell()
    told = set(map(tuple, leaf.slots.records()))
    assert {("flag", "--username"), ("switch", "--raw"), ("switch", "--mode=open")} <= told
    assert {("switch", "--quiet"), ("word", "drain")} <= told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[a\n", "x.toml: Expected"),
        ("a = 1", r"x\.toml: \[a\]: no table"),
        ("[a]\nmidl = 'x'", r"x\.toml: \[a\]: midl"),
        ("[a]\nmild = 7", r"x\.toml: \[a\]: mild"),
        ("['a b']\nmild = '--x'", r"x\.toml: \[a b\]: its program has no page"),
    ],
)
def test_a_page_that_cannot_be_read_is_refused_with_its_place(text, why):
    """File, page and key."""
    with pytest.raises(manuals.ManualFault, match=why):
        manuals.read("x.toml", text)

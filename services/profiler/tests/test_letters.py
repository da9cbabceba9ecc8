# SPDX-License-Identifier: Apache-2.0
"""One-letter flags by program: what a manual calls harmless is mild, what reaches, runs or opens is news."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_profiler.argument import is_mild_flag
from habitus_profiler.forms import form_of
from habitus_profiler.leaf import Leaf
from habitus_profiler.letters import SWITCHES, is_known_switch
from habitus_profiler.slots import Slot

MILD = [
    # program, flag, the word behind it
    ("python", "-u", "manage.py"),
    ("curl", "-fsSL", "http://a.shop.svc/"),
    ("wget", "-qO-", "http://a.shop.svc/"),
    ("rsync", "-aH", "/data/"),
    ("git", "-ffdx", ""),
    ("nats-server", "-DV", ""),
    ("backup", "-v", "/data/in"),
    ("backup", "-n", "5"),
    ("report", "-o", "json"),
    ("mosquitto_pub", "-m", "busy"),
    ("java", "-Xms", "512m"),
]
NEWS = [
    ("curl", "-k", ""),
    ("curl", "-fk", "http://a.shop.svc/"),
    ("curl", "-T", "/data/in/a.csv"),
    ("wget", "-O", "/data/in/a.csv"),
    ("ssh", "-A", ""),
    ("ssh", "-D", "1080"),
    ("nc", "-l", "4444"),
    ("sh", "-i", ""),
    ("python", "-i", ""),
    ("node", "-r", "evil"),
    ("tar", "-P", ""),
    ("rsync", "-K", ""),
    ("chmod", "-R", ""),
    ("php-fpm", "-R", ""),
    ("kubectl", "-A", ""),
    ("hdfs", "-rm", ""),
    ("backup", "-k", ""),
    ("backup", "-u", "root"),
    ("backup", "-c", "/etc/other/x.conf"),
    ("socat", "-x", ""),
]


@pytest.mark.parametrize(("program", "flag", "behind"), MILD)
def test_letters_that_can_do_no_harm_are_mild(program, flag, behind):
    """How much is told, in what order, how links and times are kept."""
    assert is_mild_flag(program, flag, behind)


@pytest.mark.parametrize(("program", "flag", "behind"), NEWS)
def test_letters_that_reach_run_open_or_act_as_another_are_news(program, flag, behind):
    """Also in a cluster of letters of which the others are mild."""
    assert not is_mild_flag(program, flag, behind)


@given(st.sampled_from(sorted(SWITCHES)), st.text("abcdefghijklmnopqrstuvwxyzABCDKPR", max_size=4), st.data())
def test_one_letter_that_is_not_named_spoils_a_cluster(command, letters, data):
    """A cluster is known only when each of its letters is."""
    other = data.draw(st.sampled_from(sorted(set("kKP!") - set(SWITCHES[command]))))
    assert not is_known_switch(command, f"-{letters}{other}")


def test_no_table_names_a_letter_that_runs_forwards_or_trusts():
    """The letters of the manuals by which these programs run code, forward, listen or trust anybody."""
    never = {
        "curl": "kTKoxXAuEd", "ssh": "ARDLgXYwNf", "nc": "lec", "node": "rep", "python": "cmi",
        "perl": "eEIMi", "tar": "PICTX", "rsync": "eKk", "docker": "vpPi", "kubectl": "Ait", "git": "cD",
        "sudo": "uiS", "php-fpm": "Rd", "wget": "OPie",
    }  # fmt: skip
    for command, letters in never.items():
        assert set(letters).isdisjoint(SWITCHES.get(command, "")), command


def leaf_of(*lines):
    leaf = Leaf()
    for line in lines:
        leaf.learn(f"/usr/bin/{line.split()[0]}", form_of(tuple(line.split())))
    return leaf


@pytest.mark.parametrize(
    ("learned", "asked", "slot"),
    [
        (
            "etcd --client-cert-auth=true",
            "etcd --client-cert-auth=false",
            ("switch", "--client-cert-auth=off"),
        ),
        ("etcd --client-cert-auth", "etcd --client-cert-auth false", ("switch", "--client-cert-auth=off")),
        ("proxy --email-domain=a.example", "proxy --email-domain=*", ("switch", "--email-domain=*")),
        ("java -Dtmp=/tmp/a -Dconf=/etc/a", "java -Dtmp=/tmp/a -Dconf=/tmp/b", ("scratch", "-Dconf")),
        ("prom --enable-feature=a", "prom --enable-feature=remote-write", ("word", "remote-write")),
        ("docker run --network none a", "docker run --network host a", ("word", "--network host")),
        ("docker run --network=none a", "docker run --network=host a", ("word", "--network host")),
        ("sh -c chmod", "chmod 777 /data", ("mode", "writable by all")),
    ],
)
def test_a_known_flag_may_be_given_what_it_never_was(learned, asked, slot):
    """Off, to anybody, to a place that anybody writes to, another's network."""
    leaf = leaf_of(learned)
    assert Slot(*slot) in form_of(tuple(asked.split())).slots
    assert not leaf.slots.knows(Slot(*slot))


def test_sql_behind_a_flag_is_no_code_loaded():
    """Its verbs are slots; anything else behind the flag is known by itself only."""
    asked = form_of(("trino", "--execute", "SHOW TABLES FROM hive"))
    assert all(slot.kind != "load" for slot in asked.slots)
    assert any(slot.kind == "load" for slot in form_of(("trino", "--execute", "run evil")).slots)


def test_an_interactive_program_s_escape_is_a_command():
    """`!sh` within a text of several words."""
    assert Slot("command", "sh") in form_of(("lftp", "-e", "set a b; !sh; quit")).slots


@pytest.mark.parametrize(
    "argv", [("python3", "-m", ""), ("node", "-r", ""), ("java", "-p=", "x"), ("a", "-", ""), ("a", "! .")]
)
def test_a_flag_may_be_given_nothing(argv):
    """An empty argument is one, too."""
    assert form_of(argv).text

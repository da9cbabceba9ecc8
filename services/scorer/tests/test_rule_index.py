# SPDX-License-Identifier: Apache-2.0
"""The index keeps no rule from an event that it holds for: indexed and plain evaluation are the same."""

import re
import string
import sys
from pathlib import Path

import pytest
from corpus_reading import DEVELOPMENT, lines
from hypothesis import given
from hypothesis import strategies as st
from scorer_making import anomaly

from habitus.anomalies import Anomaly
from habitus_scorer import regex_needs
from habitus_scorer.engines.rule import SHIPPED
from habitus_scorer.needs import Needs, Source, either, every, fold, needed
from habitus_scorer.rule_index import RuleIndex
from habitus_scorer.rules_model import Rule
from habitus_scorer.ruleset import RuleSet
from habitus_scorer.sigma.cases import read_cases
from habitus_scorer.sigma.fields import Record

RULES = RuleSet([SHIPPED])
FIELD = Source("CommandLine")

OWN = """\
title: numbers
name: numbers
logsource: {product: linux, category: network_connection}
detection:
  port: {DestinationPort: [4444, 0]}
  address: {DestinationIp|cidr: 10.0.0.0/8}
  none: {DestinationHostname: null}
  condition: port and (address or none)
---
title: odd
name: odd
logsource: {product: linux}
detection:
  words: [İstanbul, 'ΑΣ']
  cased: {CommandLine|cased|contains: ΣΑ}
  joined: {CommandLine: 'a*İ?σ*'}
  condition: words or cased or joined
"""
FALCO = """\
- list: shells
  items: [sh, Bash]
- macro: run
  condition: evt.type in (execve, ptrace)
- rule: all ways
  condition: >
    run and not proc.pname in (cron) and
    (proc.name in (shells) or tolower(proc.name) = "sh" or proc.cmdline icontains "EVIL"
    or proc.args glob "*x?z*" or basename(proc.exepath) startswith "nc" or toupper(proc.name) endswith "SS"
    or proc.cmdline regex ".*[Ss]how.*" or len(proc.name) > 14 or proc.name = val(proc.pname))
  priority: WARNING
  output: x
- rule: address
  condition: >
    evt.type = connect and
    (fd.sip = "10.0.0.0/8" or fd.sport in (4444, 81) or fd.name pmatch (/run, /etc/))
  priority: NOTICE
  output: x
"""


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> RuleSet:
    """The shipped rules with a user's of both kinds."""
    folder: Path = tmp_path_factory.mktemp("rules")
    (folder / "own.yml").write_text(OWN)
    (folder / "falco.yaml").write_text(FALCO)
    rules = RuleSet([SHIPPED, folder])
    assert rules.refused == []
    return rules


def plain(rules: RuleSet, record: Record) -> list[Rule]:
    hits = [rule for rule in rules.rules.values() if rule.hits(record)]
    return sorted(hits, key=lambda rule: (-rule.points, rule.id))


def test_all_lines_of_the_development_half_are_decided_alike(everything: RuleSet):
    hits = 0
    for line in lines(DEVELOPMENT):
        found = everything.hits(line.record)
        assert found == plain(everything, line.record), line.place
        hits += len(found)
    assert hits > 500


def test_all_cases_of_the_shipped_rules_are_decided_alike(everything: RuleSet):
    for rule in RULES.rules.values():
        for case in read_cases(rule.source.parent / "test.yml"):
            assert everything.hits(case.record) == plain(everything, case.record), case.place


LITERALS = sorted({one.text for rule in RULES.rules.values() for clause in rule.needs for one in clause})
OF_FALCO = [
    "sh",
    "Bash",
    "SH",
    "evil",
    "xyz",
    "nc",
    "ncat",
    "ss",
    "ß",
    "Show",
    "cron",
    "/run/x",
    "/etc",
    "10.2.3.4",
]
ODD = [
    "İstanbul",
    "istanbul",
    "ΑΣ",
    "ας",
    "aσ",
    "ΣΑ",
    "a\ud800b",
    "a?b",
    "ſ",
    "ı",
    "K",
    "\x01",
    "\n",
    "",
    "ab İxσ",
]
TEXT = st.lists(
    st.sampled_from([*LITERALS, *OF_FALCO, *ODD, *string.punctuation, " ", "/"]), min_size=1, max_size=6
).map("".join)
CASED = st.tuples(TEXT, st.sampled_from([str, str.upper, str.title])).map(lambda both: both[1](both[0]))
ADDRESS = st.sampled_from(["10.1.2.3", "8.8.8.8", "::1", "nonsense"])
PORT = st.sampled_from([0, 81, 443, 3333, 4444])
FLAGS = st.lists(st.sampled_from(["read", "write", "truncate", "chroot", "symbolic"]), max_size=2)


@st.composite
def events(draw) -> Anomaly:
    """An anomaly of any kind, made from the rules' own texts."""
    argv = draw(st.lists(CASED, min_size=1, max_size=5))
    parts = {"exe": draw(CASED), "name": draw(CASED | st.just(argv[0][-15:])), "reason": "novel-slot"}
    kind = draw(st.sampled_from(["process", "file", "network"]))
    if kind == "file":
        parts["op"] = draw(st.sampled_from(["open", "create", "write", "rename", "unlink", "chmod", "mount"]))
        parts["file"] = {
            "path": draw(CASED),
            "flags": draw(FLAGS),
            "mode": draw(st.sampled_from(["4755", "644"])),
        }
        parts["file"] |= {"new_path": draw(CASED)} if parts["op"] in {"rename", "mount"} else {}
    elif kind == "network":
        parts["op"] = draw(st.sampled_from(["connect", "accept", "dns"]))
        parts["network"] = {
            "direction": draw(st.sampled_from(["egress", "ingress"])),
            "protocol": draw(st.sampled_from(["tcp", "unix"])),
            "remote_ip": draw(ADDRESS), "remote_port": draw(PORT), "local_port": draw(PORT),
            "domain": draw(st.none() | CASED), "path": draw(CASED),
        }  # fmt: skip
    return anomaly(argv, class_=kind, **parts)


@given(events())
def test_events_made_of_the_rules_own_texts_are_decided_alike(everything: RuleSet, event: Anomaly):
    assert everything.hits(Record(event)) == plain(everything, Record(event))


PATTERNS = [
    r"(?i)\b(?:curl|wget)\b.*--(?:post|body)-file[ =]",
    r"^/(?:usr/(?:local/)?)?s?bin/(?:ba|da|z)?sh$",
    r"(?:^|[\s/;&])(?:mv|cp)\s+(?:-\S+\s+)*/tmp/",
    r"a(?i:Bi)c(?-i:D)|é[xyz]{2,3}",
    r"(?P<word>ab+)(?P=word)?(?:x|yz?){1,2}",
    r"lo*ok[^\n]end\n?z",
    r"(?>at|om)ic++s",
    r"[4-7][0-7]{3}\b|u[=+]s",
    r"",
]


def occurs(needs: Needs, text: str) -> bool:
    return all(any(one.text in fold(text) for one in clause) for clause in needs)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(data=st.data())
def test_what_an_expression_matches_has_what_it_needs(pattern: str, data):
    matched = data.draw(st.from_regex(pattern))
    assert occurs(regex_needs.needs_of(FIELD, re.compile(pattern)), matched)


def test_what_has_no_width_needs_nothing_and_parts_a_run():
    needs = regex_needs.needs_of(FIELD, re.compile(r"(?=look)lo(?!k)\bok(?<=ok)er"))
    assert [{one.text for one in clause} for clause in needs] == [{"lo"}, {"ok"}, {"er"}]


def test_an_expression_needs_the_longest_it_can_say():
    """Alternatives, options and small classes are written out; what stands between wide parts counts."""
    [clause] = regex_needs.needs_of(FIELD, re.compile(r"/s?bin/(?:ba|z)?sh[01]"))
    assert {one.text for one in clause} == {
        f"/{bin_}/{shell}sh{end}" for bin_ in ("bin", "sbin") for shell in ("", "ba", "z") for end in "01"
    }
    found = regex_needs.needs_of(FIELD, re.compile(r"curl\s+.*--upload"))
    assert [{one.text for one in clause} for clause in found] == [{"--upload"}, {"curl"}]


def test_folding_agrees_with_expressions_without_regard_to_case():
    """Whatever character matches an ASCII one folds to it alone, or two texts would come apart."""
    like_ascii = re.findall(r"[\x00-\x7f]", "".join(map(chr, range(sys.maxunicode + 1))), re.IGNORECASE)
    assert len(like_ascii) > 128
    for letter in string.printable:
        matched = re.findall(re.escape(letter), "".join(like_ascii), re.IGNORECASE)
        assert {fold(one) for one in matched} == {fold(letter)}


@given(st.text(), st.text())
def test_folding_is_character_by_character(left: str, right: str):
    assert fold(left + right) == fold(left) + fold(right)


def test_needs_follow_the_tree():
    """And: of each part; or: of all together, and nothing where one part needs nothing."""
    long, short = needed(FIELD, "longer"), needed(FIELD, "ab", start=True)
    assert every([short, long]) == (*long, *short)
    assert either([short, long]) == (short[0] | long[0],)
    assert either([short, ()]) == either([]) == every([]) == needed(FIELD, "") == ()


def test_most_rules_are_not_asked():
    """An ordinary program start is answered without any rule, or nearly."""
    asked: list[str] = []

    def watched(rule: Rule):
        def test(record: Record) -> bool:
            asked.append(rule.id)
            return rule.test(record)

        return test

    rules = [
        Rule(**{**vars(rule), "test": watched(rule)})
        for rule in RULES.rules.values()
    ]  # fmt: skip
    argv = ["/usr/bin/java", "-Xmx512m", "-jar", "/srv/app.jar", "--server.port=8080"]
    assert RuleIndex(rules).hits(Record(anomaly(argv, exe="/usr/bin/java", reason="novel-slot"))) == []
    assert len(asked) < len(rules) / 4

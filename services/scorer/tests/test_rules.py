# SPDX-License-Identifier: Apache-2.0
"""Every shipped rule is whole and decides its own cases; bad rules are refused with their line."""

from pathlib import Path

import pytest
from scorer_making import anomaly

from habitus_scorer.engines.rule import SHIPPED
from habitus_scorer.rules_model import LEVEL_POINTS, Rule
from habitus_scorer.ruleset import RuleSet
from habitus_scorer.sigma.cases import CaseFault, faults_of, read_cases
from habitus_scorer.sigma.fields import Record

RULES = RuleSet([SHIPPED])
BY_NAME = pytest.mark.parametrize("rule", RULES.rules.values(), ids=lambda rule: rule.id)

GOOD = """\
title: one
name: one
logsource: {product: linux, category: process_creation}
detection:
  selection:
    Image|endswith: /one
  condition: selection
level: low
"""


def test_all_shipped_rules_load():
    """No shipped rule is refused, and each folder holds one."""
    folders = [path for path in SHIPPED.iterdir() if path.is_dir()]
    assert RULES.refused == []
    assert sorted(RULES.rules) == sorted(folder.name for folder in folders)


@BY_NAME
def test_shipped_rule_decides_its_cases(rule: Rule):
    """Each positive event of test.yml hits, no negative one does."""
    cases = read_cases(rule.source.parent / "test.yml")
    assert list(faults_of(rule, cases)) == []
    assert sum(case.wanted for case in cases) >= 2
    assert sum(not case.wanted for case in cases) >= 3


@BY_NAME
def test_shipped_rule_is_whole(rule: Rule):
    """Each rule has a technique, both languages, advice and a README."""
    assert rule.techniques
    assert rule.title.zh != rule.title.en
    assert rule.advice.en
    assert rule.advice.zh != rule.advice.en
    assert rule.level in LEVEL_POINTS
    assert (rule.source.parent / "README.md").read_text().startswith(f"# {rule.id}\n")


@BY_NAME
def test_hostile_text_does_not_hold_a_rule_up(rule: Rule):
    """A cut attack, repeated to the longest argv, is decided; a cubic expression would not end."""
    texts = [case.record.values("CommandLine") for case in read_cases(rule.source.parent / "test.yml")]
    for text in (str(values[0]) for values in texts if values):
        for part in (text[: len(text) * 2 // 3], text[:-2], text[: len(text) // 3]):
            rule.hits(Record(anomaly([f"{part} " * (16_384 // (len(part) + 1))], name="sh")))


def hits(argv: list[str], **parts) -> list[str]:
    return [rule.id for rule in RULES.hits(Record(anomaly(argv, **parts)))]


def test_renamed_miner_is_caught_by_its_arguments():
    """`./java -o stratum+tcp://…` hits, `java -o out.txt` does not."""
    assert hits(["./java", "-o", "stratum+tcp://pool.example:3333"], exe="/usr/bin/java") == [
        "miner-arguments"
    ]
    assert hits(["java", "-o", "out.txt"], exe="/usr/bin/java") == []


def test_ordinary_work_hits_nothing():
    """Lines of ordinary services hit no rule at all."""
    ordinary = [
        ["/usr/bin/java", "-Xmx512m", "-jar", "/srv/app.jar", "--server.port=8080"],
        ["nginx", "-g", "daemon off;"],
        ["postgres", "-D", "/var/lib/postgresql/data"],
        ["redis-server", "*:6379"],
        ["python3", "-m", "gunicorn", "app:app", "-b", "0.0.0.0:8000"],
        ["node", "server.js"],
        ["curl", "-fsS", "http://localhost:8080/actuator/health"],
        ["sh", "-c", "pg_isready -U postgres"],
        ["/bin/sh", "/docker-entrypoint.sh"],
        ["php-fpm", "-F"],
        ["tar", "xzf", "/backup/2025-11-24.tgz", "-C", "/srv"],
        ["date", "+%s"],
        ["/bin/report", "--id", "8f14e45f", "--at", "1764000000"],
    ]
    found = {
        tuple(argv): hits(argv, exe=f"/usr/bin/{argv[0].rsplit('/', 1)[-1]}", reason="unknown-argument")
        for argv in ordinary
    }
    assert {argv: rules for argv, rules in found.items() if rules} == {}


BAD = [
    (GOOD.replace("Image|endswith", "ParentCommandLine|contains"), 6, "field 'ParentCommandLine'"),
    (GOOD.replace("level: low", "level: dreadful"), 8, "'dreadful' is not a valid Sigma rule level"),
    (GOOD.replace("condition: selection", "condition: selection and other"), 7, "'other' not defined"),
    (GOOD.replace("condition: selection", "condition: selection and ("), 7, "Expected"),
    (GOOD.replace("category: process_creation", "service: sshd"), 3, "service 'sshd' is not collected"),
    (GOOD.replace("category: process_creation", "service: auditd"), 6, "auditd's field 'Image'"),
    (
        GOOD.replace("category: process_creation", "service: auditd").replace(
            "Image|endswith: /one", "type: TTY"
        ),
        6,
        "auditd's record 'TTY'",
    ),
    (GOOD.replace("product: linux", "product: windows"), 3, "product 'windows' is not ours"),
    (GOOD.replace("endswith", "endswit"), 4, "Unknown modifier"),
    (GOOD + "habitus: {points: 99}\n", 9, "habitus.points"),
    (GOOD + "habitus: {colour: red}\n", 9, "habitus.colour"),
    (GOOD.replace("Image|endswith: /one", "Image|re: '('"), 4, "is invalid"),
    (GOOD.replace("Image|endswith: /one", "Image|expand: '%list%'"), 4, "placeholder"),
    ("title: [unclosed\n", 2, ""),
    ("- 1\n", 1, "not a mapping"),
    ("", 1, "holds no rule"),
    ("correlation: {type: event_count}\ntitle: x\n", 1, "'correlation' documents are not evaluated"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "reason"), BAD, ids=[reason[:30] or "yaml" for _, _, reason in BAD])
def test_bad_rule_is_refused_by_file_and_line(tmp_path: Path, text: str, line: int, reason: str):
    """One bad file is one refusal that names file and line; its neighbour stays."""
    (tmp_path / "bad.yml").write_text(text)
    (tmp_path / "good.yml").write_text(GOOD)
    rules = RuleSet([tmp_path])
    assert list(rules.rules) == ["one"]
    [refusal] = rules.refused
    assert (refusal.file.name, refusal.line) == ("bad.yml", line)
    assert reason in str(refusal)
    assert "\n" not in str(refusal)


def test_rule_file_that_is_no_text_is_refused(tmp_path: Path):
    """Bytes that are not UTF-8 and a bomb of aliases are refused, not raised."""
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe\x00")
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    (tmp_path / "bomb.yml").write_text(f"a0: &a0 [x]\n{levels}{GOOD.replace('/one', '*a8')}")
    rules = RuleSet([tmp_path])
    assert not rules.rules
    assert {refusal.file.name for refusal in rules.refused} == {"bytes.yml", "bomb.yml"}


def test_later_folder_replaces_a_rule_of_the_same_name(tmp_path: Path):
    """A user's rule with the name of a shipped one stands in its place; twice in one folder is refused."""
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
    (first / "a.yml").write_text(GOOD)
    (second / "a.yml").write_text(GOOD.replace("level: low", "level: high"))
    (second / "b.yml").write_text(GOOD)
    rules = RuleSet([first, second])
    assert rules.rules["one"].level == "high"
    assert "stands in" in rules.refused[0].reason


def test_case_that_is_no_event_is_named(tmp_path: Path):
    """A broken test.yml says which case."""
    (tmp_path / "test.yml").write_text("positive:\n  - argv: [1]\nnegative: []\n")
    with pytest.raises(CaseFault, match=r"positive\[0\].*argv"):
        read_cases(tmp_path / "test.yml")

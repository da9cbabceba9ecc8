# SPDX-License-Identifier: Apache-2.0
"""Falco's rule files: lists, macros, exceptions, appends; what asks for more than we see is named."""

from pathlib import Path

import pytest
from scorer_making import anomaly

from habitus_scorer.falco.grammar import Check, ConditionFault, Many, Named, Not, parsed
from habitus_scorer.ruleset import RuleSet
from habitus_scorer.sigma.fields import Record

FILE = """\
- required_engine_version: 0.57.0
- list: shells
  items: [sh, bash]
- list: known_shells
  items: [shells, zsh]
- macro: spawned
  condition: (evt.type in (execve, execveat))
- macro: writes
  condition: evt.type in (open, openat) and evt.is_open_write=true and fd.typechar='f' and fd.num>=0
- rule: Shell by a server
  desc: a server starts a shell
  condition: >
    spawned and container.id != host and proc.name in (known_shells)
    and proc.pname in (nginx, "java") and not proc.cmdline contains "health check"
  output: shell (%proc.cmdline)
  priority: WARNING
  tags: [container, T1059.004]
  exceptions:
    - name: by_image
      fields: [container.image.repository, proc.pname]
      comps: [endswith, =]
      values: [[/builder, java]]
    - name: by_name
      fields: proc.name
      values: [zsh]
- rule: Written below etc
  desc: x
  condition: writes and fd.name pmatch (/etc, /usr/etc)
  output: x
  priority: ERROR
- rule: Calls home
  desc: x
  condition: >
    evt.type=connect and fd.snet in ("10.0.0.0/8", 192.0.2.7) and fd.sport > 1024
    and tolower(proc.name)=curl
  output: x
  priority: CRITICAL
"""


@pytest.fixture
def rules(tmp_path: Path):
    """Write the given texts as Falco files, in this order, and read them."""

    def read(*texts: str) -> RuleSet:
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.yaml").write_text(text)
        return RuleSet([tmp_path])

    return read


def hits(rules: RuleSet, *arguments, **parts) -> list[str]:
    return [rule.id.removeprefix("falco: ") for rule in rules.hits(Record(anomaly(*arguments, **parts)))]


def shell(name: str = "bash", parent: str = "nginx", **parts):
    one = anomaly([name, "-c", parts.pop("line", "id")], **parts)
    one.event.process.parent = parent
    one.event.process.ancestors = [parent]
    return Record(one)


def test_lists_macros_and_exceptions_decide(rules):
    """A list inside a list, a macro, both kinds of exceptions and `not` are evaluated."""
    loaded = rules(FILE)
    assert loaded.refused == []
    [rule] = loaded.hits(shell())
    assert (rule.id, rule.level, rule.techniques) == ("falco: Shell by a server", "medium", ("T1059.004",))
    assert loaded.hits(shell(parent="cron")) == []
    assert loaded.hits(shell("zsh")) == []
    assert loaded.hits(shell(line="health check")) == []
    builder = {"container": {"image": "ci.example/builder:v2"}}
    assert loaded.hits(shell(parent="java", **builder)) == []
    assert len(loaded.hits(shell(parent="nginx", **builder))) == 1


def test_files_and_networks(rules):
    """Paths by prefix, address ranges, numbers and a transformer."""
    loaded = rules(FILE)
    write = {"class_": "file", "op": "open", "file": {"path": "/etc/cron.d/x", "flags": ["write"]}}
    assert hits(loaded, **write) == ["Written below etc"]
    assert hits(loaded, **write | {"file": {"path": "/etcetera", "flags": ["write"]}}) == []
    assert hits(loaded, **write | {"file": {"path": "/etc/cron.d/x", "flags": ["read"]}}) == []
    peer = {"direction": "egress", "protocol": "tcp", "remote_ip": "10.3.0.1", "remote_port": 4444}
    connect = {"class_": "network", "op": "connect", "network": peer, "name": "CURL"}
    assert hits(loaded, **connect) == ["Calls home"]
    assert hits(loaded, **connect | {"network": peer | {"remote_ip": "192.0.2.7"}}) == ["Calls home"]
    assert hits(loaded, **connect | {"network": peer | {"remote_ip": "11.3.0.1"}}) == []
    assert hits(loaded, **connect | {"network": peer | {"remote_port": 443}}) == []


def test_later_files_append_override_and_switch_off(rules):
    """Lists, conditions and exceptions grow by later files; a rule is replaced or switched off."""
    later = """\
- list: known_shells
  append: true
  items: [fish]
- rule: Shell by a server
  condition: and proc.tty = 0
  exceptions: [{name: by_name, values: [sh]}]
  override: {condition: append, exceptions: append}
- rule: Written below etc
  enabled: false
- rule: Calls home
  condition: evt.type=connect and fd.sport=53
  override: {condition: replace}
"""
    loaded = rules(FILE, later)
    assert loaded.refused == []
    assert sorted(loaded.rules) == ["falco: Calls home", "falco: Shell by a server"]
    assert len(loaded.hits(shell("fish"))) == 1
    assert loaded.hits(shell("sh")) == []
    at_terminal = shell("fish")
    at_terminal._anomaly.event.process.tty = "pts/0"
    assert loaded.hits(at_terminal) == []
    dns = {"direction": "egress", "protocol": "udp", "remote_ip": "9.9.9.9", "remote_port": 53}
    assert hits(loaded, class_="network", op="connect", network=dns) == ["Calls home"]


def rule(condition: str, more: str = "") -> str:
    return f"# first line\n- rule: R\n  condition: {condition}\n  output: o\n  priority: ERROR\n{more}"


REFUSED = [
    (rule("evt.type=execve and proc.pcmdline contains x"), "field 'proc.pcmdline'"),
    (rule("evt.type=ptrace"), "not collected (ptrace)"),
    (rule("evt.num=0"), "holds for no event"),
    (rule("evt.num>=0"), "holds for every event"),
    (rule("evt.type=execve and missing"), "macro 'missing' is not defined"),
    (rule("evt.type=execve and user.name=alice"), "value 'alice'"),
    (rule("evt.type=execve and (proc.name=sh"), "expected `)`"),
    (rule("evt.type=execve proc.name=sh"), "expected `and`, `or` or the end"),
    (rule("proc.name regex '('"), "regular expression"),
    (rule("proc.pid > many"), "'many' is no number"),
    (rule("m", "- macro: m\n  condition: m or evt.type=execve\n"), "refers to itself"),
    (rule("'" + "(" * 80 + "evt.type=execve'"), "parentheses deep"),
    (rule("evt.type=execve", "  source: k8s_audit\n"), "source 'k8s_audit'"),
    (rule("evt.type=execve", "  exceptions: [{name: e, fields: [proc.name, fd.name], values: [[a]]}]\n"), "differ"),  # noqa: E501
    (rule("evt.type=execve").replace("ERROR", "LOUD"), "priority 'loud'"),
    (rule("evt.type=execve").replace("condition", "conditio"), "condition is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_rule_that_cannot_be_used_is_refused_by_name_and_line(rules, text: str, reason: str):
    """One bad rule is one refusal that names file, line and rule; its neighbours stay."""
    loaded = rules(text, FILE)
    [refusal] = loaded.refused
    assert (refusal.file.name, refusal.line) == ("0.yaml", 2)
    assert str(refusal).split(": ", 1)[1].startswith("rule 'R': ")
    assert reason in refusal.reason
    assert len(loaded.rules) == 3


def test_what_no_longer_matters_refuses_nothing(rules):
    """A field that we lack beside a call that is not collected is not asked for; the loss is noted."""
    loaded = rules(rule("evt.type in (execve, memfd_create) or (evt.type=bpf and evt.arg.cmd=5)"))
    assert loaded.refused == []
    assert loaded.rules["falco: R"].narrowed == ("bpf", "memfd_create")


def test_macros_that_grow_without_end_are_refused(rules):
    """Forty macros that each name the one before twice are one refusal, soon."""
    grown = "".join(f"- macro: m{n + 1}\n  condition: m{n} and m{n}\n" for n in range(40))
    loaded = rules(rule("m40", f"- macro: m0\n  condition: evt.type=execve\n{grown}"), FILE)
    assert "too large" in loaded.refused[0].reason
    assert len(loaded.rules) == 3


def test_grammar_keeps_falcos_precedence():
    """`not` before `and` before `or`; quotes, brackets and val() are read."""
    assert parsed("a or b and not c") == Many("or", (Named("a"), Many("and", (Named("b"), Not(Named("c"))))))
    assert parsed("not not a") == Named("a")
    assert parsed("not(a)") == Not(Named("a"))
    assert parsed('proc.aname[2] = "a \\"b\\""') == Check("proc.aname[2]", "=", ('a "b"',))
    assert parsed("proc.name exists") == Check("proc.name", "exists", ())
    assert parsed("fd.name in ()") == Check("fd.name", "in", ())
    assert parsed("proc.name=val(proc.pname)") == Check("proc.name", "=", ("val(proc.pname)",))
    for bad in ("", "and", "a and", "not", "a b", "proc.name in (a b)", "proc.name =", "(a", "f(a) = b"):
        with pytest.raises(ConditionFault):
            parsed(bad)

# SPDX-License-Identifier: Apache-2.0
"""The corpus: attacks and near-miss benign lines as events, and how the shipped rules decide them.

A line is a command as a shell would write it, with `[parent]` before where the parent matters, or `@op`
with what it is done to and by whom. `# source:` names where the kind of line is described.

Two parts: by the lines of `development` rules are chosen; those of `reported` are by another hand, and
nobody who changes a rule reads them. Of these only counts are printed.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from habitus.anomalies import Anomaly
from habitus.events import Event
from habitus_scorer.ruleset import RuleSet
from habitus_scorer.sigma.fields import Record

CORPUS: Final = Path(__file__).parent / "corpus"
DEVELOPMENT: Final = "development"
REPORTED: Final = "reported"
LOUD: Final = 20.0
"""Points, on the rules' scale, from which a rule alone raises an alert with the default weights."""


class Line(NamedTuple):
    """One line: where it stands, its source, whether it is an attack, and its event."""

    place: str
    text: str
    source: str
    attack: bool
    record: Record


class Counts(NamedTuple):
    """How many attacks and benign lines a part has, and how many of each a loud rule hits."""

    attacks: int
    found: int
    benign: int
    alarms: int

    @property
    def recall(self) -> float:
        return self.found / self.attacks

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.alarms)


def lines(part: str = "") -> Iterator[Line]:
    """Yield the lines of one part, or of the whole corpus."""
    for path in sorted((CORPUS / part).rglob("*.txt")):
        source = ""
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if text.startswith("# source: "):
                source = text.removeprefix("# source: ")
            elif text.strip():
                place = f"{path.relative_to(CORPUS)}:{number}"
                yield Line(place, text, source, path.parent.name == "attacks", record_of(text))


def decide(rules: RuleSet, part: str) -> tuple[list[Line], list[tuple[Line, list[str]]], Counts]:
    """Return the attacks that no loud rule hits, the benign lines that one hits, and the counts."""
    missed, alarms, attacks, benign = [], [], 0, 0
    for line in lines(part):
        loud = [rule.id for rule in rules.hits(line.record) if rule.points >= LOUD]
        attacks, benign = attacks + line.attack, benign + (not line.attack)
        if line.attack and not loud:
            missed.append(line)
        elif loud and not line.attack:
            alarms.append((line, loud))
    return missed, alarms, Counts(attacks, attacks - len(missed), benign, len(alarms))


def count(rules: RuleSet, part: str) -> Counts:
    """Return the counts of a part alone, so that no line of it shows where it fails."""
    return decide(rules, part)[2]


def record_of(text: str) -> Record:
    """Return the event that a line tells of, as rules see it."""
    # Not `unknown-path`: a shell where none was ever started is news in an attack and a false alarm alike.
    event = msgspec.convert(_done(text) if text.startswith("@") else _run(text), Event)
    return Record(
        Anomaly(id="c", event=event, image_key="app:1", revision=1, reason="novel-slot", path=[], detail="")
    )


def _run(text: str) -> dict[str, Any]:
    parent, command = "tini", text
    if text.startswith("[") and "] " in text:
        parent, command = text[1:].split("] ", 1)
    argv = shlex.split(command)
    program = argv[0]
    if program.startswith("./"):
        program = f"/app/{program[2:]}"
    elif not program.startswith(("/", "memfd:")):
        program = f"/usr/bin/{program}"
    process = {"exe": program, "argv": argv, "name": program.rsplit("/", 1)[-1][:15], "parent": parent}
    return _event("process", "exec", process)


def _done(text: str) -> dict[str, Any]:
    op, *words = shlex.split(text[1:])
    by = words.pop()
    process = {"exe": f"/usr/bin/{by}", "name": by, "parent": "sh"}
    via = {"via": "io_uring"} if op.startswith("uring-") else {}
    op = op.removeprefix("uring-")
    if op == "dns":
        return _event("network", "dns", process, network={"direction": "egress", "domain": words[0]})
    if op == "connect-unix":
        unix = {"direction": "egress", "protocol": "unix", "path": words[0]}
        return _event("network", "connect", process, network=unix)
    if op == "connect":
        address, port = words[0].rsplit(":", 1)
        flow = {"direction": "egress", "protocol": "tcp", "remote_ip": address, "remote_port": int(port)}
        return _event("network", "connect", process, network=flow | via)
    return _event("file", *_file(op, words, process, via))


def _file(op: str, words: list[str], process: dict[str, Any], via: dict[str, str]) -> tuple[Any, ...]:
    if op == "chmod":
        return "chmod", process, {"path": words[1], "mode": words[0]}
    if op == "mount":
        return "mount", process, {"path": words[0], "new_path": words[1], "flags": []}
    if op == "chroot":
        return "mount", process, {"path": words[0], "flags": ["chroot"]}
    if op in {"write", "read", "open"}:  # as our collector tells it: an open, and for what
        return "open", process, {"path": words[0], "flags": ["write" if op == "write" else "read"], **via}
    if op == "rename" and len(words) > 1:
        return op, process, {"path": words[0], "new_path": words[1]}
    return op, process, {"path": words[0]}


def _event(
    kind: str, op: str, process: dict[str, Any], file: Any = None, network: Any = None
) -> dict[str, Any]:
    parts = {name: part for name, part in (("file", file), ("network", network)) if part}
    container = {"id": "c" * 64, "image": "app:1"}
    return {"ts": 1, "class": kind, "op": op, "container": container, "process": process, **parts}

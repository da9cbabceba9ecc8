# SPDX-License-Identifier: Apache-2.0
"""What Sigma's values, modifiers and conditions mean over our events."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from scorer_making import anomaly

from habitus_scorer.falco.loading import Book
from habitus_scorer.rules_model import Refusal
from habitus_scorer.ruleset import read_file
from habitus_scorer.sigma.fields import Record

ARGV = ["/usr/bin/java", "-Jar", "App.jar", "--port=80"]
NETWORK = {"direction": "egress", "remote_ip": "10.1.2.3", "remote_port": 4444, "domain": "Pool.Example.com"}


def holds(tmp_path: Path, detection: dict[str, Any], record: Record, logsource=None) -> bool:
    document = {"title": "t", "logsource": logsource or {"product": "linux"}, "detection": detection}
    path = tmp_path / "rule.yml"
    path.write_text(yaml.safe_dump(document))
    [rule] = read_file(path, Book())
    assert not isinstance(rule, Refusal), rule
    return rule.hits(record)


def process() -> Record:
    return Record(anomaly(ARGV, exe="/usr/bin/java"))


def network(**parts) -> Record:
    return Record(anomaly(class_="network", op="connect", network=NETWORK | parts))


VALUES = [
    ({"Image": "/usr/bin/java"}, True),
    ({"Image": "/USR/bin/JAVA"}, True),
    ({"Image|cased": "/USR/bin/JAVA"}, False),
    ({"Image": "java"}, False),
    ({"Image|endswith": "/java"}, True),
    ({"Image|startswith": ["/opt/", "/usr/"]}, True),
    ({"CommandLine|contains": "-jar app"}, True),
    ({"CommandLine|contains|all": ["-jar", "--port"]}, True),
    ({"CommandLine|contains|all": ["-jar", "--host"]}, False),
    ({"CommandLine": "*java*--port=??"}, True),
    ({"CommandLine": "*java*--port=?"}, False),
    ({"CommandLine|re": r"--port=\d+$"}, True),
    ({"CommandLine|re": r"-jar"}, False),
    ({"CommandLine|re|i": r"-jar"}, True),
    ({"CommandLine|re|all": ["java", "port"]}, True),
    ({"CommandLine|windash|contains": "/Jar"}, True),
    ({"Argument": "App.jar"}, True),
    ({"Argument": "App"}, False),
    ({"ProcessId": 41}, True),
    ({"ProcessId": "41"}, True),
    ({"ProcessId|gt": 40}, True),
    ({"ProcessId|gte": 42}, False),
    ({"ProcessId|lt": 41}, False),
    ({"ProcessId|lte": 41}, True),
    ({"CurrentDirectory": None}, True),
    ({"Image": None}, False),
    ({"CurrentDirectory|exists": False}, True),
    ({"Image|exists": True}, True),
    ({"ParentImage|endswith": "/bash"}, True),
    ({"User": "root"}, True),
    ({"Ancestor": "tini"}, True),
    ({"Image|fieldref": "Image"}, True),
    ({"Image|fieldref": "CommandLine"}, False),
    ({"DestinationIp": "10.1.2.3"}, False),
    ({"Anomaly.Reason": "unknown-path"}, True),
    ({"Container.Image": "webapp:*"}, True),
    ({"Pod.Namespace": "shop"}, True),
    ({"CommandLine|contains": r"a\*b"}, False),
]


@pytest.mark.parametrize(("selection", "wanted"), VALUES, ids=[str(selection) for selection, _ in VALUES])
def test_value(tmp_path: Path, selection: dict[str, Any], wanted: bool):  # noqa: FBT001
    """Each modifier means what Sigma's specification says."""
    assert holds(tmp_path, {"s": selection, "condition": "s"}, process()) is wanted


NETWORKS = [
    ({"DestinationIp|cidr": "10.0.0.0/8"}, True),
    ({"DestinationIp|cidr": ["192.168.0.0/16", "fe80::/10"]}, False),
    ({"DestinationPort": [3333, 4444]}, True),
    ({"DestinationHostname|endswith": ".example.com"}, True),
    ({"Initiated": "true"}, True),
    ({"Initiated": True}, True),
    ({"SourceIp": "10.1.2.3"}, False),
]


@pytest.mark.parametrize(("selection", "wanted"), NETWORKS, ids=[str(selection) for selection, _ in NETWORKS])
def test_network_value(tmp_path: Path, selection: dict[str, Any], wanted: bool):  # noqa: FBT001
    """Source and destination follow the direction as the container sees it."""
    assert holds(tmp_path, {"s": selection, "condition": "s"}, network()) is wanted


def test_ingress_turns_source_and_destination(tmp_path: Path):
    """For an accepted connection the remote end is the source."""
    record = network(direction="ingress", local_port=80)
    selection = {"SourceIp": "10.1.2.3", "DestinationPort": 80, "Initiated": "false"}
    assert holds(tmp_path, {"s": selection, "condition": "s"}, record)


def test_hostile_address_matches_no_network(tmp_path: Path):
    """An address that is none is compared with no network and raises nothing."""
    record = network(remote_ip="10.1.2.3; rm -rf /")
    assert not holds(tmp_path, {"s": {"DestinationIp|cidr": "0.0.0.0/0"}, "condition": "s"}, record)


CONDITIONS = [
    ("java and port", True),
    ("java and not port", False),
    ("java or tomcat", True),
    ("not tomcat", True),
    ("1 of sel_*", True),
    ("all of sel_*", False),
    ("1 of them", True),
    ("all of them", False),
    ("java and (tomcat or port)", True),
    (["tomcat", "java"], True),
]


@pytest.mark.parametrize(("condition", "wanted"), CONDITIONS, ids=[str(text) for text, _ in CONDITIONS])
def test_condition(tmp_path: Path, condition: str, wanted: bool):  # noqa: FBT001
    """Conditions combine as written; of several, one must hold."""
    detection = {
        "java": {"Image|endswith": "/java"},
        "port": {"CommandLine|contains": "--port"},
        "tomcat": {"Image|endswith": "/tomcat"},
        "sel_a": {"ProcessName": "java"},
        "sel_b": {"ProcessName": "tomcat"},
        "condition": condition,
    }
    assert holds(tmp_path, detection, process()) is wanted


def test_list_of_maps_is_or_and_map_is_and(tmp_path: Path):
    """A list of maps needs one of them, a map all its fields."""
    either = [{"ProcessName": "tomcat"}, {"ProcessName": "java", "User": "root"}]
    both = {"ProcessName": "java", "User": "tomcat"}
    assert holds(tmp_path, {"s": either, "condition": "s"}, process())
    assert not holds(tmp_path, {"s": both, "condition": "s"}, process())


def test_keywords_look_at_all_text(tmp_path: Path):
    """A value without a field occurs somewhere in the event's text."""
    assert holds(tmp_path, {"words": ["nothing", "app.JAR"], "condition": "words"}, process())
    assert holds(tmp_path, {"words": ["pool.example"], "condition": "words"}, network())
    assert not holds(tmp_path, {"words": ["nothing"], "condition": "words"}, process())


SOURCES = [
    ("process_creation", {}, True),
    ("file_event", {}, False),
    ("file_event", {"class_": "file", "op": "write", "file": {"path": "/x"}}, True),
    ("file_access", {"class_": "file", "op": "open", "file": {"path": "/x"}}, True),
    ("file_event", {"class_": "file", "op": "open", "file": {"path": "/x"}}, False),
    ("file_delete", {"class_": "file", "op": "unlink", "file": {"path": "/x"}}, True),
    ("network_connection", {"class_": "network", "op": "connect", "network": {}}, True),
    ("process_creation", {"op": "fork"}, False),
]


@pytest.mark.parametrize(("category", "parts", "wanted"), SOURCES)
def test_log_source(tmp_path: Path, category: str, parts: dict[str, Any], wanted: bool):  # noqa: FBT001
    """A rule sees only the events of its log source's category."""
    detection = {"s": {"Container.Image": "webapp:v1"}, "condition": "s"}
    source = {"product": "linux", "category": category}
    assert holds(tmp_path, detection, Record(anomaly(**parts)), source) is wanted


def test_rename_is_seen_by_its_new_name(tmp_path: Path):
    """Sigma's TargetFilename of a rename is where the file went."""
    moved = {"path": "/tmp/x", "new_path": "/etc/cron.d/x"}
    record = Record(anomaly(class_="file", op="rename", file=moved))
    selection = {"TargetFilename|startswith": "/etc/cron.d/", "SourceFilename": "/tmp/x"}
    assert holds(tmp_path, {"s": selection, "condition": "s"}, record)


def test_hostile_text_is_only_text(tmp_path: Path):
    """NULs, escapes and lone marks in argv are compared as they are."""
    record = Record(anomaly(["sh\x00", "\x1b[2J", "\u202e", "x" * 100_000, "%s%n", "*?[]()"]))
    assert holds(tmp_path, {"s": {"Argument": "\\*\\?[]()"}, "condition": "s"}, record)
    assert holds(tmp_path, {"s": {"CommandLine|re": "^sh"}, "condition": "s"}, record)
    assert not holds(tmp_path, {"s": {"CommandLine|contains": "xmrig"}, "condition": "s"}, record)


AUDITD = {"product": "linux", "service": "auditd"}
AUDITS = [
    ({"type": "EXECVE", "a0|endswith": "java", "a1": "-Jar"}, process(), True),
    ({"type": "execve", "a2|contains": "-jar"}, process(), False),
    ({"type": "SYSCALL", "exe": "/usr/bin/java", "comm": "java"}, process(), True),
    ({"type": "PATH", "name": "/etc/passwd"}, process(), False),
    ({"type": "PATH", "name|startswith": "/etc/", "nametype": "CREATE"}, None, True),
    ({"type": "EXECVE"}, None, False),
]


@pytest.mark.parametrize(("selection", "record", "wanted"), AUDITS, ids=[str(each) for each, *_ in AUDITS])
def test_rules_for_auditds_log_hold_over_our_events(tmp_path: Path, selection, record, wanted: bool):  # noqa: FBT001
    """An exec is auditd's EXECVE and SYSCALL, a file event its PATH."""
    created = anomaly(class_="file", op="create", file={"path": "/etc/cron.d/x", "flags": ["write"]})
    given = record or Record(created)
    assert holds(tmp_path, {"s": selection, "condition": "s"}, given, AUDITD) is wanted


def test_what_is_opened_for_writing_is_written(tmp_path: Path):
    """Our collector tells the open, not each write: rules on changed files hold all the same."""
    opened = anomaly(class_="file", op="open", file={"path": "/etc/passwd", "flags": ["write"]})
    read = anomaly(class_="file", op="open", file={"path": "/etc/passwd", "flags": ["read"]})
    detection = {"s": {"TargetFilename": "/etc/passwd"}, "condition": "s"}
    for source in ("file_event", "file_change"):
        logsource = {"product": "linux", "category": source}
        assert holds(tmp_path, detection, Record(opened), logsource)
        assert not holds(tmp_path, detection, Record(read), logsource)
    assert holds(tmp_path, {"s": {"Event.Op": "write"}, "condition": "s"}, Record(opened))

# SPDX-License-Identifier: Apache-2.0
"""Sinks that write files: turning over, torn lines, full disks; OCSF against its published schema."""

import json
from pathlib import Path
from typing import Any

import pytest
from receivers import HOSTILE, alert_of, services

from habitus.alerts import Alert
from habitus.engines import EngineScore
from habitus.sinks import SinkFault
from habitus_scorer.sinks.file import FileSink
from habitus_scorer.sinks.ocsf import finding_of

SCHEMA = json.loads((Path(__file__).parent / "ocsf_schema.json").read_text(encoding="utf-8"))


def faults(kind: str, value: dict[str, Any], place: str) -> list[str]:
    """Return what of a value its object in the schema does not allow."""
    rules = SCHEMA[kind]
    found = [f"{place}.{name} is missing" for name in rules["required"] if name not in value]
    found += [f"{place}.{name} is no attribute" for name in value if name not in rules["known"]]
    if "any" in rules and not set(rules["any"]) & set(value):
        found.append(f"{place} has none of {rules['any']}")
    for name, allowed in rules.get("values", {}).items():
        if name in value and value[name] not in allowed:
            found.append(f"{place}.{name} is {value[name]}")
    for name, below in rules.get("objects", {}).items():
        items = value.get(name, [])
        for item in items if isinstance(items, list) else [items]:
            found += faults(below, item, f"{place}.{name}")
    return found


@pytest.mark.parametrize("hostile", ["", *HOSTILE.values()], ids=["plain", *HOSTILE])
def test_a_finding_is_what_the_published_schema_asks_for(hostile: str):
    alert = alert_of(hostile, techniques=["T1496", "T1059.004"], revision=2)
    finding = finding_of(alert, "en", "https://habitus.example/a")
    assert faults("finding", finding, "finding") == []
    assert (finding["class_uid"], finding["type_uid"], finding["activity_id"]) == (2004, 200_402, 2)
    assert finding["metadata"]["version"] == "1.6.0"
    assert finding["time"] == alert.raised // 10**6


@pytest.mark.parametrize(
    "event", [{}, {"class": "cpu", "op": "usage"}, {"network": {"remote_ip": "10.0.0.9"}}]
)
def test_events_without_parts_make_findings_all_the_same(event: dict):
    assert faults("finding", finding_of(alert_of(events=[event]), "zh"), "finding") == []
    assert faults("finding", finding_of(alert_of(events=[]), "zh"), "finding") == []


def lines(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


async def test_a_file_is_turned_over_by_size_and_the_oldest_leave(tmp_path: Path):
    path = tmp_path / "alerts.jsonl"
    sink = FileSink(services(path=path, max_mb=0.002, keep=2))
    for number in range(8):
        await sink.send(alert_of(id=f"a-{number}"))
    assert [lines(each) for each in (path, tmp_path / "alerts.jsonl.1", tmp_path / "alerts.jsonl.2")] == [
        ["a-7"],
        ["a-6"],
        ["a-5"],
    ]
    assert len(list(tmp_path.iterdir())) == 3
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_line_that_was_torn_costs_itself_alone(tmp_path: Path):
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"id": "half')
    await FileSink(services(path=path)).send(alert_of())
    torn, whole = path.read_text().splitlines()
    assert torn == '{"id": "half'
    assert Alert.model_validate_json(whole).id == "a-0123456789abcdef"


async def test_a_full_disk_is_a_fault_that_may_pass(tmp_path: Path):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    sink = FileSink(services(path=tmp_path / "ok"))
    sink._lines._path = full
    with pytest.raises(SinkFault, match="cannot be written: No space left on device") as fault:
        await sink.send(alert_of())
    assert not fault.value.lasting


async def test_a_hostile_alert_is_one_line(tmp_path: Path):
    path = tmp_path / "alerts.jsonl"
    sink = FileSink(services(path=path))
    for hostile in HOSTILE.values():
        await sink.send(alert_of(hostile, engines={"rule": EngineScore(points=1, max_points=40)}))
    assert len(path.read_bytes().split(b"\n")) == len(HOSTILE) + 1

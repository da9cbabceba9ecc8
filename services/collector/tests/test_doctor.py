# SPDX-License-Identifier: Apache-2.0
"""What doctor says, and what keeps the collector from starting."""

import json
import subprocess
import sys

import pytest

from habitus.settings import CollectorSettings
from habitus_collector import environment
from habitus_collector.check import Check
from habitus_collector.checks import all_checks
from habitus_collector.doctor import as_text, possible
from habitus_collector.environment import kernel_version


def test_the_document_has_every_check_and_the_exit_code_is_the_verdict():
    done = subprocess.run(
        [sys.executable, "-m", "habitus_collector.doctor", "--json"], capture_output=True, check=False
    )

    document = json.loads(done.stdout)
    assert {"name", "ok", "required", "found", "advice", "section"} == set(document["checks"][0])
    assert done.returncode == (0 if document["possible"] else 1)
    assert {"Linux", "BTF", "libbpf", "objects", "cgroup v2"} <= {c["name"] for c in document["checks"]}


def test_objects_that_are_not_built_make_it_impossible_and_name_the_command(tmp_path):
    checks = all_checks(CollectorSettings(objects=tmp_path))

    assert not possible(checks)
    assert "run make bpf" in as_text(checks)


def test_a_hostile_name_is_escaped():
    assert "\x1b" not in as_text([Check("x", ok=False, required=False, found="\x1b[2J")])


def test_objects_that_are_not_built_are_a_fault(tmp_path):
    assert any("run make bpf" in fault for fault in environment.faults(tmp_path))


@pytest.mark.parametrize(
    ("caps", "may"), [("000001ffffffffff", True), ("0000000000000000", False), ("000000c000000000", True)]
)
def test_rights_are_read_from_the_capabilities(tmp_path, caps, may):
    (tmp_path / "status").write_text(f"Name:\tx\nCapEff:\t{caps}\n")

    assert environment.may_load(tmp_path / "status") is may


@pytest.mark.parametrize(
    ("caps", "may"), [("000001ffffffffff", True), ("0000000000001004", True), ("0000000000001000", False)]
)
def test_the_network_sensor_needs_rights_of_its_own(tmp_path, caps, may):
    (tmp_path / "status").write_text(f"CapEff:\t{caps}\n")

    assert environment.may_watch_network(tmp_path / "status") is may


@pytest.mark.parametrize(("sensors", "required"), [(["process"], False), (["process", "network"], True)])
def test_the_rights_of_the_network_sensor_count_only_where_it_is_chosen(sensors, required):
    checks = {check.name: check for check in all_checks(CollectorSettings(sensors=sensors))}

    assert checks["network rights"].required is required


def test_the_setting_wins_for_the_folder_of_objects(tmp_path):
    assert environment.objects_folder(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("release", "version"), [("6.18.44-fc", (6, 18)), ("5.8", (5, 8)), ("6.1-rc3", (6, 1)), ("odd", (0, 0))]
)
def test_versions(release, version):
    assert kernel_version(release) == version


def test_without_objects_the_collector_says_one_line(nats_server, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "habitus_collector"],
        env={**nats_server.environment, "HABITUS_COLLECTOR_OBJECTS": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert done.stderr.decode().startswith("habitus collector: ")
    assert len(done.stderr.splitlines()) == 1

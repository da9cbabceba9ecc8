# SPDX-License-Identifier: Apache-2.0
"""What doctor says, and what keeps the collector from starting."""

import json
import re
import socket
import subprocess
import sys

import pytest

from habitus.settings import CollectorSettings
from habitus_collector import environment
from habitus_collector.check import NEEDED, OFFERED, ON, Check
from habitus_collector.checks import all_checks
from habitus_collector.doctor import as_json, as_text, possible
from habitus_collector.doctor_zh import in_chinese
from habitus_collector.environment import kernel_version


def test_the_document_has_every_check_and_the_exit_code_is_the_verdict():
    done = subprocess.run(
        [sys.executable, "-m", "habitus_collector.doctor", "--json"], capture_output=True, check=False
    )

    document = json.loads(done.stdout)
    assert {"name", "title", "ok", "required", "found", "advice", "section"} == set(document["checks"][0])
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


def of(**settings):
    return {check.name: check for check in all_checks(CollectorSettings(**settings))}


def test_sensors_whose_objects_are_not_there_are_not_tried_and_say_so(tmp_path):
    checks = of(objects=tmp_path)

    assert not checks["sensor process"].ok
    assert checks["sensor process"].found.startswith("not tried: ")
    assert checks["fentry"].found.startswith("not tried: ")


def test_what_the_settings_turn_off_is_said_with_what_to_set(tmp_path):
    checks = of(objects=tmp_path, verdict_cache=False, spool_mb=0)

    assert (checks["verdict cache"].ok, checks["spool"].ok) == (False, False)
    assert "collector.verdict_cache" in checks["verdict cache"].advice
    assert "collector.spool_mb" in checks["spool"].advice


def test_a_spool_below_a_file_is_not_possible(tmp_path):
    (tmp_path / "file").write_text("")

    check = of(objects=tmp_path, spool=tmp_path / "file" / "spool")["spool"]

    assert not check.ok
    assert str(tmp_path / "file") in check.found


def test_a_runtime_whose_socket_nobody_serves_does_not_answer(tmp_path):
    with socket.socket(socket.AF_UNIX) as unserved:
        unserved.bind(str(tmp_path / "docker.sock"))
        check = of(objects=tmp_path, discovery=["docker"], docker_socket=tmp_path / "docker.sock")

    assert not check["discovery docker"].ok
    assert check["discovery docker"].found != "no such runtime here"


def test_a_loader_that_does_not_exist_is_required_and_named(tmp_path):
    check = of(objects=tmp_path, loader="none such")["loader"]

    assert (check.ok, check.required) == (False, True)
    assert "none such" in check.advice


def test_the_text_has_a_heading_for_each_section(tmp_path):
    text = as_text(list(of(objects=tmp_path).values())).splitlines()

    assert [line for line in text if line in {NEEDED, OFFERED, ON}] == [NEEDED, OFFERED, ON]


CHINESE = re.compile("[\u4e00-\u9fff]")
SAME = {"Linux", "BTF", "libbpf", "cgroup v2", "fentry", "BPF LSM", "kprobe", "uprobe", "io_uring", "tracefs"}
"""Names that no language translates, beside those that begin with CONFIG_ or XDP."""


def test_every_name_heading_and_advice_is_said_in_chinese_too(tmp_path):
    (tmp_path / "none").mkdir()
    checks = [
        *of(objects=tmp_path, loader="core").values(),
        *of(objects=tmp_path / "none", verdict_cache=False, spool_mb=0).values(),
        *of(spool=tmp_path / "spool").values(),
    ]
    document = json.loads(as_json(checks, "zh"))

    for said, check in zip(document["checks"], checks, strict=True):
        assert said["name"] == check.name
        assert CHINESE.search(said["section"]), said
        technical = check.name in SAME or check.name.startswith(("CONFIG_", "XDP ", "nats"))
        assert technical or CHINESE.search(said["title"]), said
        assert not check.advice or check.advice.startswith("libbpf") or CHINESE.search(said["advice"]), said


def test_the_text_is_in_the_language_that_is_asked_for(tmp_path):
    checks = list(of(objects=tmp_path).values())

    assert "采集所需" in as_text(checks, "zh")
    assert "无法从本机内核采集。" in as_text(checks, "zh")
    assert not CHINESE.search(as_text(checks, "en"))


def test_what_a_kernel_says_stays_as_it_said_it():
    assert in_chinese("not tried: \x1b{0} not built") == "未尝试：\x1b{0} 尚未构建"
    assert in_chinese("Operation not permitted") == "Operation not permitted"


def test_settings_that_cannot_be_read_are_a_fault_of_use(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "habitus_collector.doctor", "--settings", str(tmp_path / "none.toml")],
        capture_output=True,
        check=False,
    )

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1

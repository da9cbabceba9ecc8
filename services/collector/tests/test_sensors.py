# SPDX-License-Identifier: Apache-2.0
"""Which sensors a setting chooses, and what is said when it cannot."""

import subprocess
import sys

import pytest

from habitus.service import ServiceFault
from habitus.settings import CollectorSettings
from habitus_collector import sensors


def test_by_default_every_sensor_watches():
    assert sorted(CollectorSettings().sensors) == sorted(sensors.available())
    sensors.choose(CollectorSettings().sensors)


def test_what_others_need_is_loaded_first_and_a_name_counts_once():
    chosen = sensors.choose(["file", "process", "file"])

    assert [sensor.object for sensor in chosen] == ["process.bpf.o", "file.bpf.o"]


def test_a_sensor_without_programs_has_no_object():
    chosen = sensors.choose(["cpu", "process"])

    assert sensors.objects_of(chosen) == ["process.bpf.o", "tasks.bpf.o"]
    assert [sensor.poll is not None for sensor in chosen] == [False, True]


def test_no_two_sensors_share_a_kind_of_record():
    every = sensors.choose(list(sensors.available()))

    each = [sensors.readers_of([sensor]) for sensor in every]
    assert len(sensors.readers_of(every)) == sum(map(len, each))
    assert [bool(readers) for readers in each] == [bool(sensor.object) for sensor in every]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["process", "flie"], "no sensor 'flie'; available: process, file"),
        ([], "collector.sensors is empty"),
        (["file"], "'file' needs 'process' beside it"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_in_one_line(names, said):
    with pytest.raises(ServiceFault, match=said) as fault:
        sensors.choose(names)

    assert "\n" not in str(fault.value)


def test_an_unknown_sensor_ends_the_collector_with_one_line(nats_server):
    done = subprocess.run(
        [sys.executable, "-m", "habitus_collector"],
        env={**nats_server.environment, "HABITUS_COLLECTOR_SENSORS": "process,flie"},
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.decode().startswith("habitus collector: collector.sensors: no sensor 'flie'")
    assert len(done.stderr.splitlines()) == 1

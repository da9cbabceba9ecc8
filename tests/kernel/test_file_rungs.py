# SPDX-License-Identifier: Apache-2.0
"""By which hooks files are seen: the cheapest that this kernel takes, or those that a setting names."""

import asyncio
import logging

import pytest

from habitus.settings import CollectorSettings
from habitus_collector import active, probes, rungs

pytestmark = pytest.mark.kernel

SENSORS = ["process", "file"]
BY = {rungs.FENTRY: "file_fentry.bpf.o", rungs.SYS_EXIT: "file.bpf.o"}


def checked(objects):
    found = active.checks(CollectorSettings(objects=objects, sensors=SENSORS, discovery=[]))
    return next(each for each in found if each.name == "sensor file")


async def test_what_is_refused_is_said_and_the_other_is_taken(collect, objects, caplog):
    refused = probes.attach(objects, probes.HOOKS["fentry"])
    caplog.set_level(logging.INFO)

    recorder = await collect(sensors=SENSORS, file_rung=rungs.AUTO)
    check = await asyncio.to_thread(checked, objects)

    taken = recorder.loader._sensors.taken
    assert list(taken) == ["process.bpf.o", BY[rungs.SYS_EXIT if refused else rungs.FENTRY]]
    assert ("the rung fentry is refused: file_fentry.bpf.o" in check.found) is bool(refused)
    assert ("file.bpf.o is taken" in caplog.text) is bool(refused)


async def test_the_rung_that_a_setting_names_is_the_one(collect):
    recorder = await collect(sensors=SENSORS, file_rung=rungs.SYS_EXIT)

    assert "file.bpf.o" in recorder.loader._sensors.taken
    assert "on_file_call" in recorder.loader.status().hooks

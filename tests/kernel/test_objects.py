# SPDX-License-Identifier: Apache-2.0
"""Every object loads and attaches, and the sensors see the least: what each kernel must give."""

import os
import shutil
from pathlib import Path

import pytest

from habitus_collector import probes, sensors
from habitus_collector.kernel import Sensors
from habitus_collector.libbpf import LibbpfFault

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
VERIFIER_LINES = 40
BASH = os.path.realpath(shutil.which("bash") or "/bin/bash").encode()


def objects_of(names):
    return sensors.objects_of(sensors.choose(names))


@pytest.mark.parametrize("name", sensors.available())
def test_an_object_loads_and_attaches(objects, name):
    chosen = sensors.choose([*sensors._sensor(name).needs, name])
    if not any(sensor.object for sensor in chosen):
        return  # read from the cgroup tree, not by programs
    try:
        loaded = Sensors(chosen, objects, 4096, lambda _: None)
    except LibbpfFault as fault:
        log = "\n".join(fault.log.splitlines()[-VERIFIER_LINES:])
        pytest.fail(f"{fault}\n{log}", pytrace=False)
    assert loaded.hooks
    assert len(loaded._listers) == sum(sensor.lister is not None for sensor in chosen)
    loaded.close()


def test_every_source_is_some_sensors_object_or_that_of_the_probes():
    sources = {path.name.replace(".c", ".o") for path in (ROOT / "bpf").glob("*.bpf.c")}

    assert sources == {*objects_of(sensors.available()), probes.OBJECT}


async def test_an_exec_an_open_and_a_connect_of_a_container_arrive(collect, new_container, tmp_path):
    recorder, container = await collect(sensors=["process", "file", "network"]), new_container()
    (tmp_path / "read").write_text("x")

    container.run([BASH, b"-c", b"read x < %b; : < /dev/tcp/127.0.0.1/9" % bytes(tmp_path / "read")])

    (event,) = await recorder.of(container, "exec")
    assert event.process.exe == BASH.decode()
    paths = [event.file.path for event in await recorder.of(container, "open")]
    assert str(tmp_path / "read") in paths
    connects = await recorder.of(container, "connect")
    # The resolver may ask nscd by its Unix socket before.
    (event,) = (event for event in connects if event.network.protocol == "tcp")
    assert (event.network.remote_ip, event.network.remote_port) == ("127.0.0.1", 9)
    assert not recorder.loader.status().lost

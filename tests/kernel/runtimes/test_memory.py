# SPDX-License-Identifier: Apache-2.0
"""What every sensor and naming by several runtimes cost the collector."""

import re
import sys
from pathlib import Path

import pytest

from habitus_collector import sensors

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

RESIDENT_KIB = 80 * 1024
SHORT = ["/bin/busybox", "sleep", "0.05"]


async def test_resident_memory_with_every_runtime_keeps_its_budget(
    containerd, docker_engine, podman_engine, collect, seen
):
    collector = collect(
        cri_sockets=containerd.socket,
        docker_socket=docker_engine.socket,
        podman_socket=podman_engine.socket,
        sensors=",".join(sensors.available()),
    )
    pod = await containerd.run("web-0", "webapp:v1", command=SHORT)
    others = [engine.run("webapp:v1", SHORT, name="web") for engine in (docker_engine, podman_engine)]
    for container in (pod.container, *others):
        assert "webapp:v1" in (await seen.first_exec(container)).container.image

    status = Path(f"/proc/{collector.child.pid}/status").read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
    sys.stdout.write(f"collector resident with every sensor, CRI, Docker and Podman: {resident} KiB\n")
    assert resident <= RESIDENT_KIB

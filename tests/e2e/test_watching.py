# SPDX-License-Identifier: Apache-2.0
"""`habitus up` beside containers that run already, as on any host."""

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from habitus_console.demo import image
from habitus_console.demo.containerd import Containerd


@pytest.fixture
async def runtime() -> AsyncIterator[Containerd]:
    """A private containerd with the demo's image; its socket needs a short path."""
    missing = [
        name for name in ("containerd", "runc", "busybox", "bash-static") if shutil.which(name) is None
    ]
    if os.geteuid() != 0 or missing or not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip(f"needs root, BTF and containers; missing here: {missing or 'root or BTF'}")
    with tempfile.TemporaryDirectory(prefix="habitus-test-", dir="/var/tmp") as name:
        folder = Path(name)
        standin = image.compile_standin(folder)
        async with Containerd(folder) as started:
            for archive in (image.pause(folder, standin), image.webapp(folder, standin)):
                await started.load(archive)
            yield started


@pytest.mark.kernel
@pytest.mark.containers
async def test_up_learns_a_container_that_ran_before_it(up, habitus, runtime):
    await runtime.run("web-0", "webapp:v1")
    running = up(HABITUS_COLLECTOR_CRI_SOCKETS=str(runtime.socket))
    running.wait_for("watching 1 container (named by cri")
    running.until(lambda: "webapp:v1" in habitus("profile", "list", "--json").stdout)
    recorded = habitus("record", "-", "--seconds", "2")
    events = [json.loads(line) for line in recorded.stdout.splitlines()]
    assert {event["container"]["pod"]["name"] for event in events} == {"web-0"}
    assert {"java", "backup"} <= {event["process"]["name"] for event in events}
    shown = json.loads(habitus("profile", "show", "webapp:v1", "--json").stdout)
    assert shown["summary"]["state"] == "learn"
    assert {"java", "backup", "gzip", "healthcheck"} <= set(shown["tries"]["process"]["bash"])
    assert running.interrupt() == 0

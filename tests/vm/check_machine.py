# SPDX-License-Identifier: Apache-2.0
"""The virtual machine itself: what comes back from it, and that nothing of it is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from habitus_vm import kernels, machine

SERIES = "6.12"


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    yield folder
    assert not processes_of(folder)


def processes_of(folder):
    """Return the command lines of processes that name a folder: qemu and virtiofsd of a machine there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes()
            if str(folder).encode() in words and (b"virtiofsd" in words or b"qemu" in words):
                found.append(words)
    return found


def test_output_and_exit_status_come_back_and_nothing_is_written_to_the_host(scratch, tmp_path):
    heard = []
    command = f"uname -r; echo x > {tmp_path}/trace; cat {tmp_path}/trace; exit 7"
    kernel = kernels.have(SERIES)

    outcome = machine.run(kernel, command, scratch, limit_s=100, hear=heard.append)

    assert (outcome.status, outcome.fault) == (7, "")
    assert heard == [kernel.release, "x"]
    assert not (tmp_path / "trace").exists()


def test_a_command_that_never_ends_is_ended(scratch):
    outcome = machine.run(kernels.have(SERIES), "sleep 1000", scratch, limit_s=15)

    assert outcome.status is None
    assert outcome.fault == "it took longer than 15 s"


def test_a_kernel_that_panics_is_a_fault_and_the_console_tells(scratch):
    outcome = machine.run(kernels.have(SERIES), "echo c > /proc/sysrq-trigger", scratch, limit_s=100)

    assert (outcome.status, outcome.fault) == (None, "the machine ended before the command did")
    assert "Kernel panic" in (scratch / "console").read_text(errors="replace")


def test_nothing_outlives_a_runner_that_is_killed(scratch):
    code = (
        "import sys; from pathlib import Path; from habitus_vm import kernels, machine;"
        f"machine.run(kernels.have({SERIES!r}), 'sleep 1000', Path(sys.argv[1]), limit_s=100)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    runner = subprocess.Popen([sys.executable, "-c", code, str(scratch)], env=environment)
    while not any(b"qemu" in words for words in processes_of(scratch)):
        assert runner.poll() is None
        time.sleep(0.05)

    runner.send_signal(signal.SIGKILL)
    runner.wait()

    deadline = time.monotonic() + 10
    while processes_of(scratch):
        assert time.monotonic() < deadline
        time.sleep(0.05)

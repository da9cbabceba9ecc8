# SPDX-License-Identifier: Apache-2.0
"""`habitus record` ends when nobody reads, or nothing can be written, any more."""

import asyncio
import os
import subprocess
import sys

import pytest

from habitus.bus import Bus
from habitus_console.feed import feed

GOOD = b'{"ts":1,"class":"process","op":"exec","container":{"image":"a:1"},"process":{"pid":1}}\n'


async def recorded(nats_server, bus: Bus, tmp_path, shell: str) -> tuple[int, str, str]:
    """Run `shell` with `habitus record` as $RECORD while events are published."""
    events = tmp_path / "events.jsonl"
    events.write_bytes(GOOD * 500)
    environment = (
        os.environ | nats_server.environment | {"RECORD": f"{sys.executable} -m habitus_console record"}
    )
    started = await asyncio.create_subprocess_exec(
        "bash", "-c", f"set -o pipefail; {shell}", env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    for number in range(100):
        if started.returncode is not None:
            break
        await feed(bus, events, f"r{number}", str, lambda _: None)
        await asyncio.sleep(0.3)
    out, err = await asyncio.wait_for(started.communicate(), 30)
    return started.returncode, out.decode(), err.decode()


async def test_a_reader_that_has_seen_enough_ends_it(nats_server, bus, tmp_path):
    code, out, err = await recorded(nats_server, bus, tmp_path, "$RECORD - | head -1")
    assert code == 1
    assert '"image":"a:1"' in out
    assert err == ""


async def test_a_full_disk_ends_it_in_one_line(nats_server, bus, tmp_path):
    code, _, err = await recorded(nats_server, bus, tmp_path, "$RECORD /dev/full")
    assert (code, err) == (1, "habitus: /dev/full: No space left on device\n")


@pytest.mark.parametrize("seconds", ["0", "0.5"])
async def test_it_ends_after_its_time(nats_server, bus, tmp_path, seconds):
    file = tmp_path / "out.jsonl"
    code, _, err = await recorded(nats_server, bus, tmp_path, f"$RECORD {file} --seconds {seconds}")
    assert (code, f"events written to {file}" in err) == (0, True)

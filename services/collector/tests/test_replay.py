# SPDX-License-Identifier: Apache-2.0
"""The loader `replay` and the service around it, with a real broker."""

import asyncio
import json
import subprocess
import sys

from habitus import subjects, wire
from habitus.nodes import NodeStatus

GOOD = {
    "ts": 1,
    "class": "process",
    "op": "exec",
    "container": {"image": "webapp:v1"},
    "process": {"pid": 41, "name": "java", "parent": "bash", "argv": ["java", "a\u0000b", "\u001b[2J"]},
}


def collector(environment, **settings):
    extra = {f"HABITUS_COLLECTOR_{key.upper()}": str(value) for key, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "habitus_collector"],
        env={**environment, "HABITUS_COLLECTOR_LOADER": "replay", **extra},
        capture_output=True,
        timeout=60,
        check=False,
    )


async def test_good_lines_are_published_in_order_and_bad_ones_named(nats_server, bus, tmp_path):
    second = {**GOOD, "ts": 2}
    lines = [json.dumps(GOOD).encode(), b"", b"{not json", b'{"ts": 3}', json.dumps(second).encode()]
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join(lines))

    done = await asyncio.to_thread(
        collector, nats_server.environment, replay_file=file, node="node one", batch_events=1
    )

    assert done.returncode == 0, done.stderr
    said = done.stderr.decode()
    assert f"{file}:3: " in said
    assert f"{file}:4: " in said
    assert "2 events published, 2 lines skipped" in said
    subscription = await bus.js.pull_subscribe("habitus.events.process.*", "t", stream=subjects.EVENTS)
    messages = await subscription.fetch(2, timeout=5)
    events = [event for message in messages for event in wire.decode(wire.EventBatch, message.data).events]
    assert [event.ts for event in events] == [1, 2]
    assert events[0].process.argv == ["java", "a\0b", "\x1b[2J"]
    bucket = await bus.js.key_value(subjects.NODES)
    status = NodeStatus.model_validate_json((await bucket.get("node_one")).value)
    assert (status.node, status.loader, status.events) == ("node one", "replay", {"process": 2})


def test_a_missing_file_is_one_line(nats_server, tmp_path):
    done = collector(nats_server.environment, replay_file=tmp_path / "none.jsonl")

    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert lines[-1].endswith("none.jsonl: No such file or directory")
    assert "Traceback" not in done.stderr.decode()


def test_no_file_names_the_setting(nats_server):
    done = collector(nats_server.environment)

    assert done.returncode == 1
    assert b"set collector.replay_file" in done.stderr

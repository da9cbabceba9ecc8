# SPDX-License-Identifier: Apache-2.0
"""What a person reads of running collectors."""

import io
import time

from rich.console import Console

from habitus import subjects
from habitus.nodes import NodeStatus
from habitus.settings import ConsoleSettings, Settings
from habitus_console import doctor, nodes

STATUS = NodeStatus(
    node="n1\x1b[2J",
    loader="core",
    hooks=["on_exec", "on_open"],
    events={"file": 7, "process": 3},
    known={"file": 900},
    lost={"file": 2},
    spooled=3_200_000,
    ring=0.125,
    updated=time.time_ns(),
)


def shown(language):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(nodes.table(STATUS, language))
    return console.export_text()


def test_every_field_of_a_status_is_shown():
    text = shown("en")

    assert "\x1b" not in text
    assert len(nodes.table(STATUS, "en").rows) == len(NodeStatus.model_fields) - 1
    for part in ("known, kept in the kernel", "file 900", "file 2", "3200000", "12.5%", "on_exec, on_open"):
        assert part in text


def test_every_field_has_a_name_in_both_languages():
    assert set(nodes._NAMES) == set(NodeStatus.model_fields) - {"node"}
    assert "已知而留在内核" in shown("zh")


def test_a_trouble_is_said_once_and_again_when_it_grows():
    troubles = nodes.Troubles()

    assert list(troubles.of(STATUS, "en")) == [
        "node n1\x1b[2J lost events: file 2",
        "node n1\x1b[2J: the broker takes no events, 3.2 MB wait on disk",
    ]
    assert list(troubles.of(STATUS, "en")) == []
    assert list(troubles.of(STATUS.model_copy(update={"spooled": 0}), "en")) == []
    worse = STATUS.model_copy(update={"lost": {"file": 3}})
    assert [text.partition("：")[2][:6] for text in troubles.of(worse, "zh")] == ["file 3", "消息服务器不"]


async def test_doctor_adds_what_the_collectors_of_the_running_stack_say(bus, nats_server, tmp_path):
    bucket = await bus.js.create_key_value(bucket=subjects.NODES)
    await bucket.put("n1", STATUS.model_dump_json().encode())
    none = doctor.Diagnosis(ok=True, checks=[])
    running = Settings(nats=nats_server.settings)
    absent = Settings(console=ConsoleSettings(state=tmp_path))

    assert (await doctor.with_nodes(none, running)).nodes == [STATUS]
    assert (await doctor.with_nodes(none, absent)).nodes == []

    nats_server.stop()
    assert (await doctor.with_nodes(none, running)).nodes == []

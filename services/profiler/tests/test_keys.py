# SPDX-License-Identifier: Apache-2.0
"""A key holds all that a verdict depends on, so that what is remembered stands for nothing else."""

import msgspec
import pytest

from habitus.events import Container, Event, File, Network, Peer, Pod, Process
from habitus_batches import IMAGE, START, opened, packed, partition, ready, tokens, told
from habitus_profiler.batch import Batch


def execed(**parts):
    as_ever = {"name": "sh", "parent": "tini", "exe": "/bin/sh", "argv": ["sh", "run"], "exe_class": "image"}
    return Event(
        ts=START, class_="process", op="exec", container=Container("a", image=IMAGE),
        process=Process(**as_ever | parts),
    )  # fmt: skip


def used(op, path, **parts):
    return msgspec.structs.replace(opened(path), op=op, file=File(path=path, **parts))


def reached(**parts):
    asked = {"direction": "egress", "protocol": "tcp", "remote_ip": "10.0.0.7", "remote_port": 80} | parts
    return Event(
        ts=START, class_="network", op="connect", container=Container("a", image=IMAGE),
        process=Process(name="java", pid=7), network=Network(**asked),
    )  # fmt: skip


HERE = Peer(service="db", pod=Pod("db-0", "shop"))
THERE = Peer(service="web", pod=Pod("web-0", "shop"))
WRITTEN = used("open", "/data/x", flags=["write"])


@pytest.mark.parametrize(
    ("taught", "known", "news"),
    [
        ([], execed(), execed(name="ash")),
        ([], execed(), execed(parent="cron")),
        ([], execed(parent=None, ancestors=["cron"]), execed(parent=None, ancestors=["at"])),
        ([], execed(), execed(exe="/tmp/sh")),
        ([], execed(), execed(exe_class="memory")),
        ([], execed(), execed(argv=["sh", "/etc/shadow"])),
        ([], opened("/data/x"), opened("/data/y")),
        ([], used("open", "/data/x", flags=["read"]), used("open", "/data/x", flags=["write"])),
        ([], used("read", "/data/x"), used("write", "/data/x")),
        ([WRITTEN], used("read", "/data/x", bytes=1), used("read", "/data/x")),
        ([], used("rename", "/data/x", new_path="/data/y"), used("rename", "/data/x", new_path="/data/z")),
        ([], reached(), reached(remote_ip="10.0.1.7")),
        ([], reached(), reached(remote_port=81)),
        ([], reached(), reached(protocol="udp")),
        ([], reached(local_port=80, remote_ip="9.9.9.9"), reached(local_port=80, direction="ingress")),
        ([], reached(), reached(domain="10.0.0.0/24")),
        ([], reached(protocol="unix", path="/run/x.sock"), reached(protocol="unix", path="/run/y.sock")),
        ([], reached(peer=HERE), reached(peer=THERE)),
    ],
)  # fmt: skip
def test_each_field_on_which_a_verdict_depends_is_in_the_key(taught, known, news):
    """What is remembered stands for nothing that differs in one of them."""
    made = partition()
    made.apply([*taught, known], 1)
    ready(made)
    assert told(made.apply_batch(Batch(packed([known, known])), 2)) == ([], [], [])
    [anomaly], _, _ = told(made.apply_batch(Batch(packed([known, news])), 2))
    assert anomaly


def test_a_known_flow_whose_network_is_not_known_is_never_told_to_collectors():
    """The kernel would hold back the whole network by its token; a look at what is remembered counts, too."""
    made, token = partition(), b"t" * 16
    made.apply([reached(peer=HERE)], 1)
    ready(made)
    flow = msgspec.structs.replace(reached(peer=HERE), token=token, node="n1")
    for _ in range(3):
        assert told(made.apply_batch(Batch(packed([flow, flow])), 2)) == ([], [], [])
    assert tokens(made) == {}
    file = msgspec.structs.replace(opened("/data/x"), token=token)
    made.profiles[IMAGE].state = "relearn"
    made.apply([file], 3)
    ready(made)
    made.apply_batch(Batch(packed([flow, file, file])), 4)
    assert tokens(made) == {("n1", IMAGE): {token}}

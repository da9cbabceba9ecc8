# SPDX-License-Identifier: Apache-2.0
"""From an exec to its alert, end to end: in real containers, else from events handed in as by a collector."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from habitus.events import Container, Event, Process
from habitus.publish import EventPublisher
from habitus_bench.tape import Tape, Unit
from habitus_console import profiles, results
from habitus_console.feed import feed
from habitus_console.replay import LEARN, SERVICES
from habitus_console.stack import Stack

PODS = 20
_EXECS = 100
_PAUSE_S = 0.02
_IMAGE = "shop/web:v7"
_ENVIRONMENT = {
    "HABITUS_EMBEDDER_PORT": "0", "HABITUS_LLM_PORT": "0", "HABITUS_PROFILER_DETECT": "command",
}  # fmt: skip


def measure() -> dict[str, float]:
    """Return p50 and p99 in milliseconds, from the event's own time to the alert's."""
    missing = _missing()
    if not missing:
        sys.stdout.write(f"exec → alert: real containers, {PODS} Pods with two attacks each\n")
        return _in_containers()
    sys.stdout.write(f"exec → alert: {_EXECS} events handed in, because {missing}\n")
    return _handed_in()


def _missing() -> str:
    if os.geteuid() != 0:
        return "only root runs containers"
    absent = [name for name in ("containerd", "runc") if shutil.which(name) is None]
    if absent:
        return f"{absent[0]} is not installed"
    return "" if list(Path("build/bpf").glob("*.bpf.o")) else "the BPF objects are not built"


def _in_containers() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="habitus-latency-") as folder:
        file = Path(folder) / "demo.json"
        command = [Path(sys.executable).parent / "habitus", "demo", "--pods", str(PODS), "--figures", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the demo's story did not hold:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        found = json.loads(file.read_text())
    return {name: found[name] for name in ("exec_to_alert_p50_ms", "exec_to_alert_p99_ms")}


def _handed_in() -> dict[str, float]:
    latencies = sorted(asyncio.run(_alerted()))
    return {
        "exec_to_alert_p50_ms": latencies[len(latencies) // 2],
        "exec_to_alert_p99_ms": latencies[int(0.99 * (len(latencies) - 1))],
    }


async def _alerted() -> list[float]:
    """Learn one image, then run a miner in each of a hundred of its containers, one after the other."""
    with tempfile.TemporaryDirectory(prefix="habitus-latency-") as name:
        folder = Path(name)
        tape = Tape(1, 1_795_478_400 * 10**9)
        unit = Unit(_IMAGE, "web-0", 0)
        for number in range(300):
            tape.run(unit, number, ["nginx", "-s", "reload"], exe="/usr/sbin/nginx")
        tape.write(folder / "learn.jsonl")
        async with Stack(folder / "stack", SERVICES, _ENVIRONMENT) as stack, stack.bus() as bus:
            fed = await feed(bus, folder / "learn.jsonl", LEARN, print, lambda _bytes: None)
            await profiles.converge(bus, fed.last_sequence, freeze=True)
            publisher = EventPublisher(bus, "bench")
            for number in range(_EXECS):
                publisher.add(_miner(number))
                await publisher.flush()
                await asyncio.sleep(_PAUSE_S)
            await profiles.synchronise(bus, publisher.last_sequence)
            await results.scored(bus, lambda _done, _all: None)
            raised = await results.alerts(bus)
    if len(raised) != _EXECS:
        raise RuntimeError(f"{_EXECS} miners raised {len(raised)} alerts")
    return [alert.latency_ms for alert in raised]


def _miner(number: int) -> Event:
    argv = ["./xmrig", "-o", "pool.minexmr.com:4444", "-u", "48edf"]
    process = Process(pid=5000 + number, ppid=1, exe="/tmp/xmrig", name="xmrig", parent="nginx", argv=argv)
    container = Container(id=f"{number:064x}", name="web", image=_IMAGE)
    return Event(ts=time.time_ns(), class_="process", op="exec", container=container, process=process)

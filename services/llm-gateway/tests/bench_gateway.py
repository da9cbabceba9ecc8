# SPDX-License-Identifier: Apache-2.0
"""Overhead over the provider's own latency at 200 questions/s, and the storm of 100 Pods.

`python services/llm-gateway/tests/bench_gateway.py [FIGURES [RATE]]`: the provider is a process of its own
(`gateway_wire.py`, 50 ms an answer). It is asked by the gateway over NATS, each question another, and for the
baseline over bare HTTP, with a body that was written before. The two take turns within each second, RATE of
each: a host that stands still or crawls holds both up. Every sample counts in `overhead_p99_ms`, those in a
stall too; `overhead_p99_quiet_ms` is of the samples that no stall touched, nor the 0.2 s after one in which
what had come meanwhile is worked off; `samples_in_stalls` and `samples_after_stalls` say how many that leaves
out. Where it leaves out more than half there is no such figure.
`own_mean_ms` is the gateway's own clock: from a question's arrival to its reply, less the provider's time,
waiting for the processor included. `others_cores`: what processes that are none of the bench took.
"""

import asyncio
import gc
import json
import os
import secrets
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "tests" / "support")]

import aiohttp  # noqa: E402
import nats  # noqa: E402
from gateway_making import request  # noqa: E402

from habitus import subjects  # noqa: E402
from habitus.judging import JudgeReply  # noqa: E402
from habitus_llm_gateway.answer import SCHEMA  # noqa: E402
from habitus_llm_gateway.prompts import Prompts  # noqa: E402
from habitus_stalls import StallWatch  # noqa: E402
from habitus_testing import NatsServer, start_service  # noqa: E402

RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 200
SECONDS, ROUNDS = 5, 8
PARTS = ("sum", "count")
_SATURATED_MS = 200  # four times what the provider takes
_AFTER_S = 0.2

Ask = Callable[[int], Awaitable[Any]]
Sample = tuple[float, float]
"""When it was due, and when its answer was there."""


async def paced(ask: Ask, rate: float, count: int, begun: float) -> list[Sample]:
    """Ask at a steady rate from a moment on."""

    async def one(number: int) -> Sample:
        due = begun + number / rate
        await asyncio.sleep(max(due - time.monotonic(), 0))
        await ask(number)
        return due, time.monotonic()

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def in_turns(one: Ask, other: Ask, rate: float, count: int) -> tuple[list[Sample], list[Sample]]:
    """Ask both at this rate, each half a period after the other."""
    begun = time.monotonic() + 0.1
    first, second = await asyncio.gather(
        paced(one, rate, count, begun), paced(other, rate, count, begun + 0.5 / rate)
    )
    return first, second


def took_ms(samples: list[Sample]) -> list[float]:
    return [1000 * (ended - due) for due, ended in samples]


def at(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000)[round(share * 1000) - 1]


def cpu_s(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def own_s(port: int) -> tuple[float, float]:
    """Return by the gateway's own clock (seconds that are not the provider's, questions asked) so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")
    provider = {
        name: float(lines[f'habitus_llm_provider_seconds_{name}{{provider="vllm"}}']) for name in PARTS
    }
    return float(lines["habitus_llm_question_seconds_sum"]) - provider["sum"], provider["count"]


@dataclass
class Asking:
    """Both ways to the provider, and what came of them."""

    client: Any
    web: aiohttp.ClientSession
    address: str
    questions: list[bytes] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)
    overloaded: int = 0

    def __post_init__(self) -> None:
        rendered = Prompts("en").render(request("./bare"))
        turns = [
            {"role": "system", "content": rendered.system},
            {"role": "user", "content": rendered.question},
        ]
        form = {"type": "json_schema", "json_schema": {"name": "v", "strict": True, "schema": SCHEMA}}
        self.body = json.dumps({"model": "m", "messages": turns, "response_format": form}).encode()

    def write(self, count: int) -> None:
        """Write questions that no cache knows, before the clock runs: it costs the asker time."""
        made = (request(f"./{secrets.token_hex(3)}-{number}") for number in range(count))
        self.questions = [question.model_dump_json().encode() for question in made]
        self.replies.clear()

    async def through(self, number: int) -> None:
        """Ask the gateway."""
        reply = await self.client.request(subjects.JUDGE, self.questions[number], timeout=30)
        self.replies.append(reply.data)

    async def bare(self, _number: int) -> None:
        """Ask the provider itself."""
        headers = {"content-type": "application/json"}
        async with self.web.post(
            f"{self.address}/v1/chat/completions", data=self.body, headers=headers
        ) as answer:
            await answer.read()
            answer.raise_for_status()

    def read(self) -> None:
        """Check what the gateway said, after the clock ran."""
        for data in self.replies:
            reply = JudgeReply.model_validate_json(data)
            overloaded = reply.note.startswith("overloaded")
            if (reply.abstained and not overloaded) or set(reply.flags) & {"cached", "coalesced"}:
                raise AssertionError(reply)
            self.overloaded += overloaded

    async def calls(self) -> int:
        """Return how often the provider was asked so far."""
        async with self.web.get(f"{self.address}/v1/calls") as answer:
            return int(await answer.read())


async def measured(asking: Asking, pid: int, port: int) -> dict[str, float]:
    """Return the figures of all rounds together."""
    asking.write(40)
    await in_turns(asking.through, asking.bare, 20, 40)
    asking.read()
    gateway: list[Sample] = []
    bare: list[Sample] = []
    used = 0.0
    own, asked = await asyncio.to_thread(own_s, port)
    async with StallWatch() as watch:
        for _ in range(ROUNDS):
            asking.write(RATE * SECONDS)
            # The asker's own collections would be told as latency, of either way.
            gc.collect()
            gc.disable()
            begun = cpu_s(pid)
            through, direct = await in_turns(asking.through, asking.bare, RATE, RATE * SECONDS)
            used += cpu_s(pid) - begun
            gc.enable()
            asking.read()
            gateway += through
            bare += direct
    own_then, asked_then = await asyncio.to_thread(own_s, port)
    if asked_then - asked != len(gateway) - asking.overloaded:
        raise AssertionError(f"{len(gateway)} questions, {asked_then - asked} asked of the provider")
    return {
        "overloaded": asking.overloaded,
        "own_mean_ms": 1000 * (own_then - own) / (asked_then - asked),
        "cpu_ms_a_question": 1000 * used / len(gateway),
        **compared(gateway, bare),
        **stalled(gateway, bare, watch),
    }


def compared(gateway: list[Sample], bare: list[Sample], suffix: str = "ms") -> dict[str, float]:
    """Return the quantiles of both, and by how much they differ."""
    figures = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        bare_ms, whole_ms = at(took_ms(bare), share), at(took_ms(gateway), share)
        figures |= {f"bare_{name}_{suffix}": bare_ms, f"gateway_{name}_{suffix}": whole_ms}
        figures[f"overhead_{name}_{suffix}"] = whole_ms - bare_ms
    if figures[f"bare_p50_{suffix}"] > _SATURATED_MS:
        # The bare client cannot keep the rate: a difference would tell of this machine's queue.
        sys.stderr.write(f"this machine cannot ask {RATE} a second even without the gateway: no overhead\n")
        del figures[f"overhead_p50_{suffix}"], figures[f"overhead_p99_{suffix}"]
    return figures


def stalled(gateway: list[Sample], bare: list[Sample], watch: StallWatch) -> dict[str, float]:
    """Return how much the host stood still, and the figures of the samples that had nothing of it."""
    both = (gateway, bare)
    beside = [[one for one in samples if not watch.touches(*one)] for samples in both]
    quiet = [[one for one in samples if not watch.touches(one[0] - _AFTER_S, one[1])] for samples in beside]
    figures = {
        "samples": len(gateway),
        "samples_in_stalls": len(gateway) - len(beside[0]),
        "samples_after_stalls": len(beside[0]) - len(quiet[0]),
        "samples_in_stalls_bare": len(bare) - len(beside[1]),
        "stalls": len(watch.spans),
        "stalled_ms": 1000 * watch.seconds,
        "others_cores": watch.others_cores,
        "stall_watch_exact": watch.exact,
    }
    if min(map(len, quiet)) < len(gateway) / 2:
        return figures  # what is left would not be the same bench
    return figures | compared(*quiet, suffix="quiet_ms")


async def stormed(asking: Asking) -> dict[str, float]:
    """100 Pods do the same 20 times within a second."""
    before = await asking.calls()
    flags: list[str] = []

    async def one(number: int) -> None:
        question = request("./storm")
        question.event["process"]["pid"] = number
        question.event["container"] = {"id": f"{number % 100:064x}", "pod": {"name": f"web-{number % 100}"}}
        raw = await asking.client.request(subjects.JUDGE, question.model_dump_json().encode(), timeout=30)
        flags.extend(JudgeReply.model_validate_json(raw.data).flags)

    samples = await paced(one, 2000, 2000, time.monotonic() + 0.1)
    asked = await asking.calls() - before
    return {
        "storm_100_pods.questions": 2000,
        "storm_100_pods.provider_calls": asked,
        "storm_100_pods.coalesced": flags.count("coalesced"),
        "storm_100_pods.cached": flags.count("cached"),
        "storm_100_pods.hit_ratio": 1 - asked / 2000,
        "storm_100_pods.p99_ms": at(took_ms(samples), 0.99),
    }


async def main(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder) / "nats", secrets.token_urlsafe(8))
        server.folder.mkdir()
        server.start()
        wire = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "gateway_wire.py"), "0", "0.05", stdout=asyncio.subprocess.PIPE
        )
        address = (await wire.stdout.readline()).decode().strip()
        port = free_port()
        given = {"PROVIDER": "vllm", "MODEL": "m", "BASE_URL": f"{address}/v1", "PORT": str(port)}
        settings = {f"HABITUS_LLM_{key}": value for key, value in given.items()}
        log = Path(folder) / "log"
        gateway = await asyncio.to_thread(start_service, "llm-gateway", server.environment, log, **settings)
        client = await nats.connect(server.settings.url, token=server.token)
        web = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        asking = Asking(client, web, address)
        try:
            figures = await measured(asking, gateway.child.pid, port)
            figures |= await stormed(asking)
            status = Path(f"/proc/{gateway.child.pid}/status").read_text()
            figures["resident_mb"] = int(status.split("VmRSS:")[1].split()[0]) / 1024
        finally:
            await client.close()
            await web.close()
            gateway.kill()
            wire.terminate()
            await wire.wait()
            server.stop()
    figures["rate"] = RATE
    figures["cpus"] = os.cpu_count() or 0
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({key: round(value, 3) for key, value in sorted(figures.items())}, indent=2) + "\n"
    )
    for name, value in sorted(figures.items()):
        sys.stdout.write(f"{name:<32}{value:>12,.2f}\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/bench/gateway.json")))

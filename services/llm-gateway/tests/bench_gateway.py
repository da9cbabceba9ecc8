# SPDX-License-Identifier: Apache-2.0
"""Overhead over the provider's own latency at 200 questions/s, and the storm of 100 Pods.

`python services/llm-gateway/tests/bench_gateway.py [FIGURES [RATE]]`: the provider is a process of its own
(`gateway_wire.py`, 50 ms an answer) and is asked by the gateway over NATS and, for the baseline, by the
same client library without the gateway, at the same rate. `own_mean_ms` is the gateway's own clock: from a
question's arrival to its reply, less the provider's time, waiting for the processor included.
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
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "tests" / "support")]

import nats  # noqa: E402
import openai  # noqa: E402
from gateway_making import request  # noqa: E402

from habitus import subjects  # noqa: E402
from habitus.judging import JudgeReply  # noqa: E402
from habitus_llm_gateway.answer import SCHEMA  # noqa: E402
from habitus_llm_gateway.prompts import Prompts  # noqa: E402
from habitus_testing import NatsServer, start_service  # noqa: E402

RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 200
SECONDS, ROUNDS = 5, 3
PARTS = ("sum", "count")
_SATURATED_MS = 200  # four times what the provider takes


async def paced(ask: Any, rate: int, count: int) -> list[float]:
    """Ask at a steady rate; return milliseconds from the moment at which each was due."""
    begun = time.perf_counter() + 0.05

    async def one(number: int) -> float:
        due = begun + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        await ask(number)
        return (time.perf_counter() - due) * 1000

    return list(await asyncio.gather(*(one(number) for number in range(count))))


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


async def measured(client: Any, direct: Any, calls: Any, pid: int, port: int) -> dict[str, float]:
    overloaded = 0
    rendered = Prompts("en").render(request("./bare"))

    async def bare(_number: int) -> None:
        turns = [
            {"role": "system", "content": rendered.system},
            {"role": "user", "content": rendered.question},
        ]
        form = {"type": "json_schema", "json_schema": {"name": "v", "strict": True, "schema": SCHEMA}}
        body = {"model": "m", "messages": turns, "response_format": form}
        await direct.post("/chat/completions", cast_to=object, body=body)

    asked_for: list[bytes] = []
    answered: list[bytes] = []

    def written(count: int) -> None:
        # Before the clock runs, and read after it: the one who asks shall not take the gateway's processor.
        asked_for[:] = [
            request(f"./{secrets.token_hex(3)}-{number}").model_dump_json().encode()
            for number in range(count)
        ]
        answered.clear()

    async def through(number: int) -> None:
        answered.append((await client.request(subjects.JUDGE, asked_for[number], timeout=30)).data)

    def refused() -> int:
        replies = [JudgeReply.model_validate_json(data) for data in answered]
        for reply in replies:
            if reply.abstained and not reply.note.startswith("overloaded"):
                raise AssertionError(reply.note)
        return sum(reply.note.startswith("overloaded") for reply in replies)

    written(40)
    await paced(through, 20, 40)
    await paced(bare, 20, 40)
    # A collection of all that was imported here would be told as the gateway's latency.
    gc.collect()
    gc.freeze()
    base, whole, used = [], [], 0.0
    own, asked = await asyncio.to_thread(own_s, port)
    for _ in range(ROUNDS):
        base.append(await paced(bare, RATE, RATE * SECONDS))
        written(RATE * SECONDS)
        begun = cpu_s(pid)
        whole.append(await paced(through, RATE, RATE * SECONDS))
        used += cpu_s(pid) - begun
        overloaded += refused()
    own_then, asked_then = await asyncio.to_thread(own_s, port)
    own_ms = 1000 * (own_then - own) / (asked_then - asked)
    figures = {
        "overloaded": overloaded,
        "own_mean_ms": own_ms,
        "cpu_ms_a_question": 1000 * used / (ROUNDS * RATE * SECONDS),
    }
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        bare_ms = statistics.median(at(one, share) for one in base)
        whole_ms = statistics.median(at(one, share) for one in whole)
        figures |= {f"bare_{name}_ms": bare_ms, f"gateway_{name}_ms": whole_ms}
        figures[f"overhead_{name}_ms"] = whole_ms - bare_ms
    if figures["bare_p50_ms"] > _SATURATED_MS:
        # The client alone cannot keep the rate: a difference would tell of this machine's queue.
        sys.stderr.write(f"this machine cannot ask {RATE} a second even without the gateway: no overhead\n")
        del figures["overhead_p50_ms"], figures["overhead_p99_ms"]
    return figures | await stormed(client, calls)


async def stormed(client: Any, calls: Any) -> dict[str, float]:
    """100 Pods do the same 20 times within a second."""
    before = await calls()
    flags: list[str] = []

    async def one(number: int) -> None:
        question = request("./storm")
        question.event["process"]["pid"] = number
        question.event["container"] = {"id": f"{number % 100:064x}", "pod": {"name": f"web-{number % 100}"}}
        raw = await client.request(subjects.JUDGE, question.model_dump_json().encode(), timeout=30)
        flags.extend(JudgeReply.model_validate_json(raw.data).flags)

    times = await paced(one, 2000, 2000)
    asked = await calls() - before
    return {
        "storm_100_pods.questions": 2000,
        "storm_100_pods.provider_calls": asked,
        "storm_100_pods.coalesced": flags.count("coalesced"),
        "storm_100_pods.cached": flags.count("cached"),
        "storm_100_pods.hit_ratio": 1 - asked / 2000,
        "storm_100_pods.p99_ms": at(times, 0.99),
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
        direct = openai.AsyncOpenAI(
            api_key="none",
            base_url=f"{address}/v1",
            max_retries=0,
            timeout=60,
            http_client=openai.DefaultAioHttpClient(),  # as the gateway asks
        )

        async def calls() -> int:
            return int(await direct.get("/calls", cast_to=object))

        try:
            figures = await measured(client, direct, calls, gateway.child.pid, port)
            status = Path(f"/proc/{gateway.child.pid}/status").read_text()
            figures["resident_mb"] = int(status.split("VmRSS:")[1].split()[0]) / 1024
        finally:
            await client.close()
            await direct.close()
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

# SPDX-License-Identifier: Apache-2.0
"""Kernel → collector → broker → profiler as processes, and a container on this host."""

import asyncio
import secrets
import time

from habitus import subjects
from habitus.asking import ask
from habitus.images import image_key, partition_of
from habitus.nodes import NodeStatus
from habitus.profiles import ProfileReply, ProfileRequest

WORK = (
    [b"/bin/true", b"--run", b"1"],
    [b"/bin/sh", b"-c", b"/bin/echo one; /bin/true two"],
    [b"/bin/echo", b"backup finished"],
)


class Line:
    """A collector, a profiler and an embedder on one broker, and a container on this host."""

    def __init__(self, bus, serve, new_container, objects) -> None:
        # LXC's containers are named by their cgroups: no runtime need be asked.
        name = f"web{secrets.token_hex(4)}"
        self.container = new_container(f"lxc.payload.{name}")
        self.key = image_key(f"lxc:{name}")
        self.bus, self.serve, self.objects = bus, serve, objects

    def start(self, **collector: str) -> None:
        self.serve("embedder", HABITUS_EMBEDDER_PORT="0")
        self.profiler = self.start_profiler()
        self.collector = self.start_collector(**collector)

    def start_collector(self, **settings: str):
        return self.serve(
            "collector",
            HABITUS_COLLECTOR_NODE="n.1",
            HABITUS_COLLECTOR_DISCOVERY="",
            HABITUS_COLLECTOR_OBJECTS=str(self.objects),
            **settings,
        )

    def start_profiler(self):
        return self.serve("profiler", HABITUS_PROFILER_SNAPSHOT_S="0.5", HABITUS_PROFILER_GUARD="off")

    async def work(self, times: int = 1) -> None:
        for _ in range(times):
            for argv in WORK:
                await asyncio.to_thread(self.container.run, argv)

    async def ask(self, operation: str, **fields) -> ProfileReply:
        return await ask(self.bus, operation, partition_of(self.key), ProfileRequest(**fields), 30)

    async def published(self) -> int:
        return (await self.bus.js.stream_info(subjects.EVENTS)).state.last_seq

    async def status(self) -> NodeStatus:
        bucket = await self.bus.js.key_value(subjects.NODES)
        return NodeStatus.model_validate_json((await bucket.get("n_1")).value)

    async def caching(self, images: int) -> None:
        """Wait until the collector says that it keeps the known events of so many images back."""
        deadline = time.monotonic() + 20
        while (await self.status()).cached_images != images:
            assert time.monotonic() < deadline, self.collector.said
            await asyncio.sleep(0.2)

    async def learn(self) -> None:
        await self.work(10)
        await asyncio.sleep(0.5)
        reply = await self.ask("converge", after=await self.published())
        assert [each.state for each in reply.summaries] == ["detect"], reply

    async def quiet(self, within: float = 15) -> int:
        """Repeat the work until nothing of it is published any more; return how many rounds it took."""
        deadline = time.monotonic() + within
        rounds = 0
        while True:
            before = await self.published()
            await self.work()
            await asyncio.sleep(0.3)
            if await self.published() == before:
                return rounds
            rounds += 1
            assert time.monotonic() < deadline, (await self.status(), self.collector.said, self.profiler.said)

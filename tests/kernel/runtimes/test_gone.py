# SPDX-License-Identifier: Apache-2.0
"""A container that its runtime has removed when it is asked for is named by what the runtime told before."""

import asyncio
import contextlib

import pytest

from habitus.events import Pod
from habitus.settings import CollectorSettings
from habitus_collector.discovery.cri import CriDiscovery
from habitus_collector.discovery.docker import DockerDiscovery, PodmanDiscovery
from habitus_collector.naming import Naming

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

TRUE = ["/bin/busybox", "true"]


@contextlib.asynccontextmanager
async def following(source, begin):
    """Follow a source; `begin` starts containers until the first of them is told of."""
    told = []
    naming = Naming([source], told.append)
    task = asyncio.create_task(naming.follow())
    try:
        for attempt in range(20):  # a stream says nothing when it begins
            await begin(attempt)
            await asyncio.sleep(0.1)
            if told:
                break
        assert told, "the runtime tells of no container"
        yield naming
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await naming.close()


async def named_at_last(naming, container):
    """As the watch does: a second's patience, then longer; engines tell of containers when they have time."""
    return await naming.soon(container) or await naming.later(container)


async def gone(source, container) -> None:
    for _ in range(100):
        if await source.find(container) is None:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the runtime still knows the container")


async def test_of_cri(containerd):
    source = CriDiscovery(CollectorSettings(cri_sockets=[str(containerd.socket)]))

    async def begin(attempt):
        await containerd.run(f"first-{attempt}", "webapp:v1", command=TRUE)

    async with following(source, begin) as naming:
        pod = await containerd.run("short-0", "webapp:v1", command=TRUE)
        await containerd.cri.remove_pod(pod.sandbox)
        await gone(source, pod.container)

        identity = await named_at_last(naming, pod.container)

    named = identity.container
    assert (named.name, named.image) == ("web", "webapp:v1")
    assert named.pod == Pod(name="short-0", namespace="shop", uid=pod.uid)
    assert identity.labels["app"] == "short-0"


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


async def test_of_an_engine(engine):
    """As `docker run --rm`."""
    kind = {"docker": DockerDiscovery, "podman": PodmanDiscovery}[engine.name]
    source = kind(CollectorSettings(**{f"{engine.name}_socket": engine.socket}))
    labels = {"io.kubernetes.pod.name": "job-0", "io.kubernetes.pod.namespace": "shop", "tier": "batch"}

    async def run(name):
        return await asyncio.to_thread(engine.run, "webapp:v1", TRUE, name=name, labels=labels, remove=True)

    async with following(source, lambda attempt: run(f"first-{attempt}")) as naming:
        container = await run("short")
        await gone(source, container)

        identity = await named_at_last(naming, container)

    named = identity.container
    assert (named.name, named.image.rpartition("/")[2]) == ("short", "webapp:v1")
    assert (named.pod.name, named.pod.namespace) == ("job-0", "shop")
    assert identity.labels["tier"] == "batch"

# SPDX-License-Identifier: Apache-2.0
"""Without any socket a container is named by what its runtime left on disk."""

import pytest

from habitus.events import Container, Pod

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

LONG = ["/bin/bash", "-c", "while :; do /bin/busybox sleep 0.2; done"]


@pytest.fixture
def collect_from(collect, tmp_path):
    """Start the collector on a root folder in which the engine's own folders lie where they usually do."""

    def start(**places):
        root = tmp_path / "host"
        for usual, real in places.items():
            path = root / usual.replace("__", "/")
            path.parent.mkdir(parents=True)
            path.symlink_to(real)
        return collect(discovery="bundle", host_root=root)

    return start


async def test_of_containerd(containerd, collect_from, seen):
    collect_from(run__containerd=containerd.socket.parent / "state")

    pod = await containerd.run("web-0", "webapp:v1", command=LONG)

    of_pod = Pod(name="web-0", namespace="shop", uid=pod.uid)
    event = await seen.first_exec(pod.container)
    assert event.container == Container(id=pod.container, name="web", image="webapp:v1", pod=of_pod)
    await seen.quiet(2)  # what nobody names comes after a second
    assert pod.sandbox not in {event.container.id for event in seen.events}


async def test_of_docker(docker_engine, collect_from, seen):
    collect_from(var__lib__docker=docker_engine.socket.parent / "docker")

    container = docker_engine.run("webapp:v1", LONG, name="web")

    event = await seen.first_exec(container)
    assert event.container == Container(id=container, name="web", image="webapp:v1")


async def test_of_podman(podman_engine, collect_from, seen):
    collect_from(var__lib__containers__storage=podman_engine.socket.parent / "graph")

    container = podman_engine.run("webapp:v1", LONG, name="web")

    event = await seen.first_exec(container)
    assert event.container == Container(id=container, name="web", image="localhost/webapp:v1")

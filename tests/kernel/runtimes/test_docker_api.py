# SPDX-License-Identifier: Apache-2.0
"""Containers of Docker and of Podman are named: image and container, and the Pod that labels tell."""

import re

import pytest

from habitus.events import Pod

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

SHORT = ["/bin/busybox", "sleep", "0.05"]
LONG = ["/bin/bash", "-c", "while :; do /bin/busybox sleep 0.2; done"]
TOOLS = "registry.example:5000/team/tools:2"
# Podman says where an image without a registry comes from.
WEBAPP = {"docker": "webapp:v1", "podman": "localhost/webapp:v1"}


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def collect_from(collect):
    return lambda engine: collect(**{f"{engine.name}_socket": engine.socket})


async def test_a_container_that_lives_50_ms_is_named(engine, collect_from, seen):
    collect_from(engine)

    container = engine.run("webapp:v1", SHORT, name="short")

    event = await seen.first_exec(container)
    assert event.process.argv == SHORT
    assert (event.container.name, event.container.image) == ("short", WEBAPP[engine.name])
    assert event.container.pod is None


async def test_a_container_that_ran_before_the_collector_is_named(engine, collect_from, seen):
    container = engine.run("webapp:v1", LONG, name="early")

    collect_from(engine)

    listed = await seen.first(container, lambda event: event.op == "exec" and event.process.running)
    assert listed.process.argv == LONG
    event = await seen.first(container, lambda event: event.op == "exec" and not event.process.running)
    assert event.process.argv == ["/bin/busybox", "sleep", "0.2"]
    assert (event.container.name, event.container.image) == ("early", WEBAPP[engine.name])


async def test_a_second_image_and_one_given_by_id_are_told_apart(engine, collect_from, seen):
    collect_from(engine)

    web = engine.run("webapp:v1", SHORT, name="web")
    tools = engine.run(engine.image_id(TOOLS), SHORT, name="tools")

    assert (await seen.first_exec(web)).container.image == WEBAPP[engine.name]
    named = (await seen.first_exec(tools)).container
    assert (named.name, named.image) == ("tools", TOOLS)


async def test_a_container_that_its_engine_removes_at_once_is_named(engine, collect_from, seen):
    """As `docker run --rm`: the very first one that the collector meets, and those after it."""
    collect_from(engine)

    short = [engine.run("webapp:v1", SHORT, name=f"removed-{n}", remove=True) for n in range(3)]

    named = [(await seen.first_exec(container)).container for container in short]
    assert [container.name for container in named] == ["removed-0", "removed-1", "removed-2"]
    assert {container.image for container in named} == {WEBAPP[engine.name]}


async def test_podman_gives_the_digest_of_a_local_image(podman_engine, collect_from, seen):
    collect_from(podman_engine)

    container = podman_engine.run(TOOLS, SHORT, name="tools")

    digest = (await seen.first_exec(container)).container.image_digest
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)


async def test_the_pod_of_a_kubelet_that_uses_docker_is_named(docker_engine, collect_from, seen):
    collect_from(docker_engine)
    of_pod = {"name": "web-0", "namespace": "shop", "uid": "4ba1e1a2-02f4-4126-99f9-5dfb2d393b4a"}
    labels = {f"io.kubernetes.pod.{key}": value for key, value in of_pod.items()}
    sandbox = labels | {"io.kubernetes.docker.type": "podsandbox"}

    pause = docker_engine.run("webapp:v1", SHORT, name="k8s_POD_web-0", labels=sandbox)
    labels["io.kubernetes.container.name"] = "web"
    container = docker_engine.run("webapp:v1", SHORT, name="k8s_web_web-0", labels=labels)

    event = await seen.first_exec(container)
    assert (event.container.name, event.container.pod) == ("web", Pod(**of_pod))
    await seen.quiet(2)  # what nobody names comes after a second
    assert pause not in {event.container.id for event in seen.events}

# SPDX-License-Identifier: Apache-2.0
"""Containers of Kubernetes' interface (containerd) are named: image, container, Pod."""

import asyncio
import subprocess
import time

import pytest

from habitus.events import Container, Pod

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

TOOLS = "registry.example:5000/team/tools:2"
SHORT = ["/bin/busybox", "sleep", "0.05"]
LONG = ["/bin/bash", "-c", "while :; do /bin/busybox sleep 0.2; done"]


def named(pod, image: str) -> Container:
    return Container(
        id=pod.container, name="web", image=image, pod=Pod(name=pod.name, namespace="shop", uid=pod.uid)
    )


async def test_a_container_that_lives_50_ms_is_named(containerd, collect, seen):
    collect(cri_sockets=containerd.socket)

    pod = await containerd.run("short-0", "webapp:v1", command=SHORT)

    event = await seen.first_exec(pod.container)
    assert event.process.argv == SHORT
    assert event.container == named(pod, "webapp:v1")


async def test_a_container_that_ran_before_the_collector_is_named(containerd, collect, seen):
    pod = await containerd.run("early-0", "webapp:v1", command=LONG)

    collect(cri_sockets=containerd.socket)

    listed = await seen.first(pod.container, lambda event: event.op == "exec" and event.process.running)
    assert listed.process.argv == LONG
    event = await seen.first(pod.container, lambda event: event.op == "exec" and not event.process.running)
    assert event.process.argv == ["/bin/busybox", "sleep", "0.2"]
    assert event.container == named(pod, "webapp:v1")


async def test_a_second_image_is_told_from_the_first(containerd, collect, seen):
    collect(cri_sockets=containerd.socket)

    web = await containerd.run("web-0", "webapp:v1", command=SHORT)
    tools = await containerd.run("tools-0", TOOLS, command=SHORT)

    assert (await seen.first_exec(web.container)).container == named(web, "webapp:v1")
    event = await seen.first_exec(tools.container)
    assert event.container == named(tools, TOOLS)


async def test_an_image_that_a_kubelet_gives_by_id_gets_its_name(containerd, collect, seen):
    collect(cri_sockets=containerd.socket)
    (image_id,) = [
        image.id for image in await containerd.cri.list_images() if "tools" in str(image.repo_tags)
    ]

    pod = await containerd.run("kubelet-0", image_id, command=SHORT)

    event = await seen.first_exec(pod.container)
    assert event.container == named(pod, TOOLS)


async def test_the_digest_of_a_pulled_image_is_told(containerd, collect, seen):
    digest = await pulled(containerd, TOOLS)
    collect(cri_sockets=containerd.socket)

    pod = await containerd.run("tools-0", TOOLS, command=SHORT)

    container = (await seen.first_exec(pod.container)).container
    assert (container.image, container.image_digest) == (TOOLS, digest)


async def pulled(containerd, reference: str) -> str:
    """Give a loaded image the second name that a pull gives it, and return the digest in that."""
    digest = tag_by_digest(containerd.socket, reference)
    deadline = time.monotonic() + 10
    while not any(digest in str(image.repo_digests) for image in await containerd.cri.list_images()):
        assert time.monotonic() < deadline, "CRI does not learn of the digest"
        await asyncio.sleep(0.05)
    return digest


def tag_by_digest(socket, reference: str) -> str:
    ctr = ["ctr", "-a", str(socket), "-n", "k8s.io", "images"]
    listed = subprocess.run([*ctr, "ls", f"name=={reference}"], check=True, capture_output=True, text=True)
    digest = listed.stdout.splitlines()[1].split()[2]
    subprocess.run([*ctr, "tag", reference, f"{reference.rpartition(':')[0]}@{digest}"], check=True)
    return digest


async def test_a_sandbox_gives_no_event(containerd, collect, seen):
    collect(cri_sockets=containerd.socket)

    pod = await containerd.run("web-0", "webapp:v1", command=SHORT)

    await seen.first_exec(pod.container)
    await seen.quiet(2)  # what nobody names comes after a second
    assert pod.sandbox not in {event.container.id for event in seen.events}

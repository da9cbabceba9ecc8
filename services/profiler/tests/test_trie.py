# SPDX-License-Identifier: Apache-2.0
"""The trie: what it knows, how it widens, and what must never widen."""

from hypothesis import given
from hypothesis import strategies as st

from habitus.events import Container, Event, File, Network, Process
from habitus_profiler.habits import file_paths, network_path, widen_file, widen_network
from habitus_profiler.trie import Trie

LIMIT = 3
IMAGE = Container(image="webapp:v1")
PROCESS = Process(name="java")

names = st.sampled_from(
    ["a", "b", "c", "d.log", "e.log", "f.log", "g.log", ".h", "etc", "shadow", "var", "run"]
)
paths = st.lists(
    st.lists(names, min_size=1, max_size=5).map(lambda path: ("java", "read", *path)), max_size=30
)


def file_event(path, op="open", flags=None, new_path=None):
    file = File(path=path, flags=flags, new_path=new_path)
    return Event(ts=1, class_="file", op=op, container=IMAGE, process=PROCESS, file=file)


def network_event(op="connect", **fields):
    network = Network(**{"direction": "egress", "protocol": "tcp", **fields})
    return Event(ts=1, class_="network", op=op, container=IMAGE, process=PROCESS, network=network)


def file_trie(*learned):
    trie = Trie(LIMIT, widen_file)
    for path in learned:
        for habit in file_paths(file_event(path)):
            trie.learn(habit)
    return trie


def knows(trie, path, **more):
    return all(trie.find(habit).known for habit in file_paths(file_event(path, **more)))


def test_names_are_whole_and_only_ends_are_known():
    """`/data` says nothing of `/database`, nor `/data/in/x` of `/data/in`."""
    trie = file_trie("/data/in/x")
    assert knows(trie, "/data/in/x")
    assert not knows(trie, "/data/in")
    assert not knows(trie, "/database/in/x")


def test_many_siblings_fall_into_a_wildcard_of_their_extension():
    """The fourth log makes every log of that folder known, and nothing else."""
    trie = file_trie(*(f"/data/{name}.log" for name in "abcd"))
    assert knows(trie, "/data/zzz.log")
    assert not knows(trie, "/data/zzz.sh")
    assert not knows(trie, "/data/.hidden.log")
    assert not knows(trie, "/other/zzz.log")


def test_what_lay_under_the_siblings_lies_under_the_wildcard():
    """Directories that fall together keep the union of their files."""
    trie = file_trie(*(f"/data/{name}/{name}.csv" for name in "abcd"))
    assert knows(trie, "/data/e/a.csv")
    assert not knows(trie, "/data/e/a.sh")


def test_sensitive_places_never_widen():
    """However many were seen, the next one in /etc, /root, /proc, a secret or a library is news."""
    for place in (
        "/etc",
        "/root",
        "/proc/1",
        "/var/run/secrets/x",
        "/usr/lib",
        "/usr/bin",
        "/run/containerd",
    ):
        trie = file_trie(*(f"{place}/{name}" for name in "abcdefgh"))
        assert not knows(trie, f"{place}/z"), place


def test_a_wildcard_never_stands_for_the_way_into_a_sensitive_place():
    """Many folders at the root do not make /etc or /var known."""
    trie = file_trie(*(f"/{name}/x" for name in "abcdefgh"))
    assert knows(trie, "/q/x")
    assert not knows(trie, "/etc/x")
    assert not knows(trie, "/var/x")


def test_a_name_that_spells_a_wildcard_is_no_wildcard():
    """An attacker's file named `<any>` teaches nothing."""
    trie = file_trie("/data/<any>")
    assert knows(trie, "/data/<any>")
    assert not knows(trie, "/data/b")


def test_volatile_names_are_one():
    """Process numbers, dates and ids in a path do not make a new one; process 1 is not any process."""
    trie = file_trie("/proc/4711/stat", "/data/2026-11-24/req-7f3a9c12.json")
    assert knows(trie, "/proc/12/stat")
    assert not knows(trie, "/proc/1/stat")
    assert knows(trie, "/data/2027-01-01/req-00ff00aa.json")


def test_operations_are_grouped_and_a_rename_has_two_ends():
    """Reading is not writing; where a file goes to counts too."""
    assert file_paths(file_event("/a", flags=["read"]))[0][1] == "read"
    assert file_paths(file_event("/a", flags=["read", "write"]))[0][1] == "write"
    assert file_paths(file_event("/a", flags=["write", "create"]))[0][1] == "create-delete"
    assert file_paths(file_event("/a", flags=["execute"]))[0][1] == "execute"
    assert file_paths(file_event("/a", op="chmod"))[0][1] == "metadata"
    assert len(file_paths(file_event("/a", op="rename", new_path="/b"))) == 2


def test_peers_are_known_by_name_or_network():
    """Domain first, else the /24; who calls a server is known by its class only."""
    assert network_path(network_event(domain="db.shop.svc", remote_ip="10.0.0.9", remote_port=5432)) == (
        "java", "egress tcp", "db.shop.svc", "5432",
    )  # fmt: skip
    assert network_path(network_event(remote_ip="10.0.0.9", remote_port=1))[2] == "10.0.0.0/24"
    assert network_path(network_event(remote_ip="2001:db8::9", remote_port=1))[2] == "2001:db8::/64"
    accepted = network_event("accept", direction="ingress", remote_ip="198.51.100.7", local_port=8080)
    assert network_path(accepted)[2:] == ("public", "8080")
    listening = network_event("listen", direction="ingress", local_port=40000)
    assert network_path(listening)[2:] == ("-", "<high>")


def test_many_peers_of_one_domain_fall_into_it():
    """`*.shop.svc` after the fourth; another domain is still news."""
    trie = Trie(LIMIT, widen_network)
    for name in ("alpha", "beta", "gamma", "delta"):
        trie.learn(network_path(network_event(domain=f"{name}.shop.svc", remote_port=80)))
    assert trie.find(network_path(network_event(domain="omega.shop.svc", remote_port=80))).known
    assert not trie.find(network_path(network_event(domain="omega.evil.example", remote_port=80))).known
    assert not trie.find(network_path(network_event(domain="*.evil.example", remote_port=80))).known


@given(paths)
def test_learned_is_known(learned):
    """Whatever was learned, in whatever order, is known afterwards."""
    trie = Trie(LIMIT, widen_file)
    for path in learned:
        trie.learn(path)
    assert all(trie.find(path).known for path in learned)


@given(paths, st.randoms(use_true_random=False))
def test_the_order_of_learning_does_not_matter(learned, random):
    """The same paths make the same trie."""
    shuffled = list(learned)
    random.shuffle(shuffled)
    one, other = Trie(LIMIT, widen_file), Trie(LIMIT, widen_file)
    for path in learned:
        one.learn(path)
    for path in shuffled:
        other.learn(path)
    assert list(one.leaves()) == list(other.leaves())
    assert one.size == other.size


@given(paths)
def test_a_trie_is_what_its_leaves_say(learned):
    """restore ∘ leaves is the identity, wildcards and counts included."""
    trie, again = Trie(LIMIT, widen_file), Trie(LIMIT, widen_file)
    for path in learned:
        trie.learn(path)
    for path, ends in trie.leaves():
        again.restore(path, ends)
    assert list(again.leaves()) == list(trie.leaves())
    assert again.size == trie.size
    for path in learned:
        assert again.find(path) is not None
        assert again.find(path).known


@given(paths)
def test_what_is_known_brings_nothing_new(learned):
    """A path that is known adds no node."""
    trie = Trie(LIMIT, widen_file)
    for path in learned:
        trie.learn(path)
    assert all(trie.learn(path) == 0 for path in learned)


@given(st.text(max_size=40), st.sampled_from(["open", "rename", "chmod"]))
def test_hostile_paths_never_raise(path, op):
    """Any text is a path, and once learned it is known."""
    trie = Trie(LIMIT, widen_file)
    habits = file_paths(file_event(path or "/", op=op))
    for habit in habits:
        trie.learn(habit)
    assert all(trie.find(habit).known for habit in habits)


def test_a_unix_socket_is_known_by_its_path():
    """To have spoken to the name service is no leave to speak to the container runtime."""
    trie = Trie(LIMIT, widen_network)
    trie.learn(network_path(network_event(protocol="unix", path="/run/nscd/socket")))
    assert trie.find(network_path(network_event(protocol="unix", path="/run/nscd/socket"))).known
    assert not trie.find(network_path(network_event(protocol="unix", path="/run/docker.sock"))).known
    assert not trie.find(network_path(network_event(protocol="unix"))).known

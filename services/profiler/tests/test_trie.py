# SPDX-License-Identifier: Apache-2.0
"""The trie: what it knows, how it widens, and what must never widen."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from habitus.events import Container, Event, File, Network, Process
from habitus_profiler.habits import file_paths, network_path
from habitus_profiler.trie import Trie
from habitus_profiler.widening import FileRules, NetworkRules

LIMIT = 3
FILES = FileRules(LIMIT, {})
NETWORK = NetworkRules(LIMIT)
IMAGE = Container(image="webapp:v1")
PROCESS = Process(name="java")

names = st.sampled_from(
    [*"abcdefgh", "d.log", "e.log", "f.log", "g.log", ".h", ".cache", "etc", "shadow", "var", "run", "k.sh"]
)
peers = st.sampled_from(
    [f"{name}.example.com" for name in "abcde"] + [f"{name}.shop.svc" for name in "abcdef"]
    + [f"10.{high}.{low}.0/24" for high in (1, 2) for low in range(5)]
    + [f"203.0.{net}.0/24" for net in range(5)]
    + ["169.254.169.0/24", "loopback", "pod/shop/web", "a.github.io", "b.github.io", "c.github.io"]
)  # fmt: skip
flows = st.lists(
    st.tuples(
        st.just("java"), st.just("egress tcp"), peers, st.sampled_from(["80", "443", "40000", "50000"])
    ),
    max_size=40,
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
    trie = Trie(FILES)
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


def test_a_prefix_has_a_limit_of_its_own_and_may_forbid_to_widen():
    """`profiler.path_children`: sooner below /tmp, never below a place that the operator names."""
    trie = Trie(FileRules(3, {"/tmp": 1, "/srv/keys": -1}))
    for folder in ("/tmp", "/srv/keys", "/srv/data"):
        for name in ("alpha", "beta", "gamma")[: 3 if folder == "/srv/keys" else 2]:
            trie.learn(file_paths(file_event(f"{folder}/{name}"))[0])
    for name in "opqrstuvw":
        trie.learn(file_paths(file_event(f"/srv/keys/{name}"))[0])
        trie.learn(file_paths(file_event(f"/srv/{name}/x"))[0])
    assert knows(trie, "/tmp/delta")
    assert knows(trie, "/srv/delta/x")
    assert not knows(trie, "/srv/keys/delta")
    assert not knows(trie, "/srv/keys/x")
    assert not knows(trie, "/tmpx/delta")


def test_a_program_that_is_written_stays_by_itself():
    """Many scripts written do not make the next one known; many that are read do."""
    trie = Trie(FILES)
    for name in ("alpha", "beta", "gamma", "delta"):
        for flags in (["read"], ["write", "create"]):
            trie.learn(file_paths(file_event(f"/data/{name}.php", flags=flags))[0])
    assert knows(trie, "/data/omega.php", flags=["read"])
    assert not knows(trie, "/data/omega.php", flags=["write", "create"])


def test_a_rotated_log_is_its_log_and_a_random_id_is_any_id():
    """What logrotate and chance make of a name is no news."""
    trie = file_trie("/var/log/app/app.log", "/data/img-7f3a9c12.jpg", "/tmp/tmpab12cd_3/in")
    for name in ("app.log.1", "app.log.12.gz", "app.log-20261124", "app-2026-11-24.log", "app.log.2.gz"):
        assert knows(trie, f"/var/log/app/{name}"), name
    assert not knows(trie, "/var/log/app/app.log.sh")
    assert not knows(trie, "/var/log/app/other.log.1")
    for name in ("12345678", "abcdefab", "20261124", "01HXYZ5K3M9Q"):
        assert knows(trie, f"/data/img-{name}.jpg"), name
    assert knows(trie, "/tmp/tmpabcdefgh/in")


def test_many_peers_of_one_domain_fall_into_it():
    """`*.shop.svc` after the fourth; another domain is still news."""
    trie = Trie(NETWORK)
    for name in ("alpha", "beta", "gamma", "delta"):
        trie.learn(network_path(network_event(domain=f"{name}.shop.svc", remote_port=80)))
    assert trie.find(network_path(network_event(domain="omega.shop.svc", remote_port=80))).known
    assert not trie.find(network_path(network_event(domain="omega.evil.example", remote_port=80))).known
    assert not trie.find(network_path(network_event(domain="*.evil.example", remote_port=80))).known


def grown(rules, learned):
    trie = Trie(rules)
    for path in learned:
        trie.learn(path)
    return trie


def nodes_of(trie):
    """Yield (the names above, node) of every node, the root included."""
    stack = [((), trie.root)]
    while stack:
        above, node = stack.pop()
        yield above, node
        stack.extend(((*above, name), child) for name, child in node.children.items())


either = st.one_of(st.tuples(st.just(FILES), paths), st.tuples(st.just(NETWORK), flows))


@given(either)
def test_learned_is_known_and_stays_so_whatever_collapses(given_paths):
    """After each further path every earlier one is still known, and brings nothing new."""
    rules, learned = given_paths
    trie = Trie(rules)
    for number, path in enumerate(learned, 1):
        trie.learn(path)
        assert all(trie.find(earlier).known for earlier in learned[:number])
    assert sum(count for _, count in trie.leaves()) == len(learned)
    assert all(trie.learn(path) == 0 for path in learned)


@given(either, st.randoms(use_true_random=False))
def test_the_order_of_learning_does_not_matter(given_paths, random):
    """The same paths make the same trie."""
    rules, learned = given_paths
    shuffled = list(learned)
    random.shuffle(shuffled)
    one, other = grown(rules, learned), grown(rules, shuffled)
    assert list(one.leaves()) == list(other.leaves())
    assert one.size == other.size


@given(either)
def test_a_trie_is_what_its_leaves_say(given_paths):
    """restore ∘ leaves is the identity: wildcards, counts and what is learned afterwards included."""
    rules, learned = given_paths
    trie, again = grown(rules, learned), Trie(rules)
    for path, ends in trie.leaves():
        again.restore(path, ends)
    assert list(again.leaves()) == list(trie.leaves())
    assert again.size == trie.size
    for path in learned:
        assert again.find(path).known
    for path in reversed(learned):
        trie.learn((*path[:2], "z", *path[3:]))
        again.learn((*path[:2], "z", *path[3:]))
    assert list(again.leaves()) == list(trie.leaves())


@given(either)
def test_a_node_has_no_more_children_of_one_kind_than_its_limit(given_paths):
    """Siblings that could share a wildcard are few, or are that wildcard; `size` is their number."""
    rules, learned = given_paths
    trie = grown(rules, learned)
    nodes = list(nodes_of(trie))
    assert trie.size == len(nodes) - 1
    for above, node in nodes:
        kinds = Counter(filter(None, (rules.widen(above, name) for name in node.children)))
        assert all(count <= rules.limit(above, kind) for kind, count in kinds.items())


def test_a_flood_of_names_does_not_grow_a_trie_for_ever(monkeypatch):
    """Where names may fall, thousands are one; where they may not, the trie ends at its bound."""
    trie = grown(FILES, (("java", "read", "data", f"file-{chr(97 + at % 26)}{at}x") for at in range(5000)))
    assert trie.size < 10
    monkeypatch.setattr("habitus_profiler.trie.MAX_NODES", 100)
    trie = grown(FILES, (("java", "read", "etc", f"name{at}") for at in range(500)))
    assert trie.size <= 100
    assert trie.find(("java", "read", "etc", "name0")).known
    assert trie.learn(("java", "read", "etc", "name499")) > 0


@given(st.text(max_size=40), st.sampled_from(["open", "rename", "chmod"]))
def test_hostile_paths_never_raise(path, op):
    """Any text is a path, and once learned it is known."""
    trie = Trie(FILES)
    habits = file_paths(file_event(path or "/", op=op))
    for habit in habits:
        trie.learn(habit)
    assert all(trie.find(habit).known for habit in habits)


def test_many_networks_fall_by_class_and_the_metadata_service_never_does():
    """Public ones into one, private ones into their /16."""
    trie = Trie(NETWORK)
    for net in range(5):
        for address in (f"203.0.{net}.9", f"10.1.{net}.9", f"169.254.{net}.9"):
            trie.learn(network_path(network_event(remote_ip=address, remote_port=443)))
    known = {
        address: trie.find(network_path(network_event(remote_ip=address, remote_port=443))).known
        for address in ("198.51.100.7", "10.1.77.1", "10.2.0.1", "169.254.169.254")
    }
    assert known == {"198.51.100.7": True, "10.1.77.1": True, "10.2.0.1": False, "169.254.169.254": False}
    assert not trie.find(network_path(network_event(remote_ip="198.51.100.7", remote_port=4444))).known


def test_strangers_who_share_a_domain_do_not_fall_into_it():
    """Pages of two users of one host are two peers."""
    trie = Trie(NETWORK)
    for name in ("alpha", "beta", "gamma", "delta"):
        for domain in ("github.io", "eu-west-1.elb.amazonaws.com"):
            trie.learn(network_path(network_event(domain=f"{name}.{domain}", remote_port=443)))
    assert not trie.find(network_path(network_event(domain="omega.github.io", remote_port=443))).known
    elb = network_event(domain="omega.eu-west-1.elb.amazonaws.com", remote_port=443)
    assert not trie.find(network_path(elb)).known


def test_no_name_of_a_host_spells_another_kind_of_peer():
    """A DNS answer is anybody's text: it is neither a wildcard, nor a network, nor a Pod."""
    trie = Trie(NETWORK)
    for peer in ("*.shop.svc", "<public>", "10.0.0.0/24", "pod/shop/web"):
        trie.learn(("java", "egress tcp", peer, "443"))
        assert not trie.find(network_path(network_event(domain=peer, remote_port=443))).known


def test_a_unix_socket_is_known_by_its_path():
    """To have spoken to the name service is no leave to speak to the container runtime."""
    trie = Trie(NETWORK)
    trie.learn(network_path(network_event(protocol="unix", path="/run/nscd/socket")))
    assert trie.find(network_path(network_event(protocol="unix", path="/run/nscd/socket"))).known
    assert not trie.find(network_path(network_event(protocol="unix", path="/run/docker.sock"))).known
    assert not trie.find(network_path(network_event(protocol="unix"))).known

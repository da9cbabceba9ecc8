# SPDX-License-Identifier: Apache-2.0
"""A long ordinary stream of files and egress is quiet once it is learned, and what is hostile still shows.

A web application with uploads, rotated logs, temporary files, a cache of packages and of pages, a
database's files, a CDN's many names, a load balancer's changing addresses, and neighbours in a cluster.
"""

import random

import pytest

from habitus.events import Container, Event, File, Network, Peer, Pod, Process
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.profile import Limits, Miss, Profile

IMAGE = Container(image="webapp:v1")
HEX = "0123456789abcdef"
POD = "bcdfghjklmnpqrstvwxz2456789"
WORDS = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron",
    "inlet", "jetty", "knoll", "larch", "maple", "north", "ocean", "pearl",
]  # fmt: skip


class Stream:
    """Ordinary events; those of another seed carry other ids, names, addresses and times."""

    def __init__(self, seed):
        self.choose = random.Random(seed)  # noqa: S311  # to be the same each time
        self.made = [
            self.upload, self.log, self.rotation, self.python_temporary, self.java_temporary, self.package,
            self.page, self.postgres, self.wal, self.session, self.cdn, self.balancer, self.database,
            self.pod, self.asked, self.client, self.proc,
        ]  # fmt: skip

    def events(self, count):
        for at in range(count):
            yield self.made[at % len(self.made)]()

    def of(self, letters, count):
        return "".join(self.choose.choices(letters, k=count))

    def file(self, name, op, path, flags=None, new_path=None):
        return Event(ts=1, class_="file", op=op, container=IMAGE, process=Process(name=name),
                     file=File(path=path, new_path=new_path, flags=flags))  # fmt: skip

    def flow(self, name, op="connect", **fields):
        network = Network(**{"direction": "egress", "protocol": "tcp", "remote_port": 443, **fields})
        return Event(
            ts=1, class_="network", op=op, container=IMAGE, process=Process(name=name), network=network
        )

    def day(self):
        return f"2026{self.choose.randint(1, 12):02}{self.choose.randint(1, 28):02}"

    def upload(self):
        name = self.choose.choice([self.of(HEX, 8), f"{self.choose.choice(WORDS)}-{self.of(HEX, 4)}"])
        return self.file("java", "open", f"/data/uploads/{name}.jpg", ["write", "create"])

    def log(self):
        return self.file("java", "open", "/var/log/app/app.log", ["write", "create"])

    def rotation(self):
        number = self.choose.randint(1, 30)
        new = self.choose.choice([f"app.log.{number}", f"app.log.{number}.gz", f"app.log-{self.day()}"])
        return self.file("java", "rename", "/var/log/app/app.log", new_path=f"/var/log/app/{new}")

    def python_temporary(self):
        name = self.of("abcdefghijklmnopqrstuvwxyz0123456789_", 8)
        return self.file("python3", "open", f"/tmp/tmp{name}", ["write", "create"])

    def java_temporary(self):
        number = self.choose.randrange(10**18)
        return self.file(
            "java", "open", f"/tmp/tomcat.8080.{number}/work/upload_{self.of(HEX, 32)}.tmp", ["create"]
        )

    def package(self):
        key = self.of(HEX, 38)
        return self.file("node", "open", f"/home/app/.npm/_cacache/content-v2/{key[:2]}/{key[2:4]}/{key[4:]}")

    def page(self):
        key = self.of(HEX, 32)
        return self.file(
            "nginx", "open", f"/var/cache/nginx/{key[-1]}/{key[-3:-1]}/{key}", ["create", "write"]
        )

    def postgres(self):
        relation = self.choose.randint(1000, 99999)
        end = self.choose.choice(["", "_fsm", "_vm", ".1"])
        return self.file(
            "postgres", "open", f"/var/lib/postgresql/data/base/16384/{relation}{end}", ["write"]
        )

    def wal(self):
        return self.file(
            "postgres", "open", f"/var/lib/postgresql/data/pg_wal/{self.of('0123456789ABCDEF', 24)}"
        )

    def session(self):
        return self.file("php-fpm", "unlink", f"/var/lib/php/sessions/sess_{self.of(POD, 26)}")

    def cdn(self):
        return self.flow(
            "java", domain=f"{self.choose.choice(WORDS)}{self.choose.randint(1, 99)}.cdn.example.com"
        )

    def balancer(self):
        return self.flow("java", remote_ip=f"52.{self.choose.randrange(256)}.{self.choose.randrange(256)}.9")

    def database(self):
        return self.flow(
            "java", domain="db.shop.svc", remote_port=5432, remote_ip=f"10.0.0.{self.choose.randrange(250)}"
        )

    def pod(self):
        peer = Peer(pod=Pod(f"cart-{self.of(POD, 9)}-{self.of(POD, 5)}", "shop"))
        address = f"10.{self.choose.randrange(256)}.{self.choose.randrange(256)}.7"
        return self.flow("java", remote_ip=address, remote_port=8080, peer=peer)

    def asked(self):
        domain = f"{self.choose.choice(WORDS)}{self.choose.randint(1, 99)}.cdn.example.com"
        return self.flow("java", "dns", domain=domain, remote_port=53, protocol="udp")

    def client(self):
        address = f"{self.choose.randint(11, 99)}.{self.choose.randrange(256)}.1.1"
        return self.flow("nginx", "accept", direction="ingress", remote_ip=address, local_port=8080)

    def proc(self):
        return self.file("java", "open", f"/proc/{self.choose.randint(2, 99999)}/stat")


@pytest.fixture(scope="module")
def profile():
    learned = Profile("webapp:v1", 3, Limits(64, 256, None), Learning(Rule(3600, 0, 100)))
    for event in Stream(1).events(6000):
        learned.learn(event)
    learned.detect(1)
    return learned


def test_the_ordinary_stream_is_quiet(profile):
    """Of 12,000 events with new ids, names, dates and addresses at most one in a thousand is news."""
    news = [(miss.path, miss.detail) for event in Stream(2).events(12_000) if (miss := profile.judge(event))]
    assert len(news) <= 12, news[:20]


def test_it_does_not_grow_with_what_it_sees(profile):
    """Hundreds of names a kind are a handful of nodes."""
    assert profile.file.size + profile.network.size < 700


STREAM = Stream(3)
HOSTILE = {
    "shadow": STREAM.file("java", "open", "/etc/shadow"),
    "cron": STREAM.file("java", "open", "/etc/cron.d/x", ["write", "create"]),
    "token": STREAM.file("java", "open", "/var/run/secrets/kubernetes.io/serviceaccount/token"),
    "memory of another process": STREAM.file("java", "open", "/proc/4711/mem"),
    "web shell": STREAM.file("java", "open", "/data/uploads/7f3ac1e5.php", ["write", "create"]),
    "program in /tmp": STREAM.file("python3", "open", "/tmp/tmpab12cd_3.so", ["write", "create"]),
    "hidden in /tmp": STREAM.file("python3", "open", "/tmp/.x", ["write", "create"]),
    "run from /tmp": STREAM.file("java", "open", "/tmp/tmpab12cd_3", ["execute"]),
    "key": STREAM.file("node", "open", "/home/app/.ssh/id_rsa"),
    "log read by another": STREAM.file("node", "open", "/var/log/app/app.log"),
    "runtime socket": STREAM.flow("java", protocol="unix", path="/run/containerd/containerd.sock"),
    "another domain": STREAM.flow("java", domain="cdn.examp1e.com"),
    "a like domain": STREAM.flow("java", domain="a.cdn.example.com.evil.net"),
    "metadata": STREAM.flow("java", remote_ip="169.254.169.254", remote_port=80),
    "another port": STREAM.flow("java", remote_ip="52.1.2.9", remote_port=4444),
    "another workload": STREAM.flow(
        "java", remote_ip="10.1.1.7", remote_port=8080, peer=Peer(pod=Pod("vault-0", "vault"))
    ),
    "another process": STREAM.flow("sh", remote_ip="52.1.2.9"),
    "tunnel": STREAM.flow("java", "dns", domain="aGVsbG8.t.evil.net", remote_port=53, protocol="udp"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_shows(profile, name):
    """Each is an anomaly beside the same stream."""
    assert isinstance(profile.judge(HOSTILE[name]), Miss)

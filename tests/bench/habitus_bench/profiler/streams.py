# SPDX-License-Identifier: Apache-2.0
"""Batches of EVENTS as the collector publishes them: the same fields, 200 events a message."""

import random
from collections.abc import Callable
from typing import Final

from habitus import wire
from habitus.events import Container, Event, File, Network, Pod, Process

BATCH: Final = 200
IMAGE: Final = "registry.example/shop/webapp:v1"
DIGEST: Final = "sha256:" + "5" * 64
_START: Final = 1_764_000_000_000_000_000
_WORD: Final = 16
_COMMANDS: Final[tuple[Callable[[str, str], list[str]], ...]] = (
    lambda one, _: ["java", "-Xmx512m", "-jar", "/app/app.jar", "--server.port=8080", f"--run-id={one}"],
    lambda one, two: ["convert", f"/data/in/img-{one}.jpg", "-resize", "800x600", f"/tmp/out-{two}.webp"],
    lambda one, _: ["curl", "-sS", "-o", "/dev/null", f"http://api.shop.svc:8080/health?rid={one}"],
    lambda one, two: ["tar", "czf", f"/backup/shop-{one}.tar.gz", "-C", "/data", f"batch-{two}"],
)
_HOSTS: Final = ("db.shop.svc", "cache.shop.svc", "api.shop.svc")
_MIXED: Final = "ffnfnpfnff"


def _messages(events: list[Event]) -> list[bytes]:
    starts = range(0, len(events), BATCH)
    return [wire.encode(wire.EventBatch(events=events[at : at + BATCH])) for at in starts]


class Source:
    """Events of one image, reproducible by its seed. `fresh` ones carry ids that were never seen."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311  # to be reproducible
        self._id = f"{self._random.getrandbits(256):064x}"
        self._ts = _START

    def batches(self, kinds: str, *, fresh: bool, count: int) -> list[bytes]:
        """Return `count` events in messages; `kinds` are letters (see `event`), in turns."""
        events = [self.event(kinds[at % len(kinds)], fresh=fresh) for at in range(count)]
        return _messages(events)

    def mixed(self, count: int) -> list[bytes]:
        """Return the stream of a busy image: of ten events six are files, three network, one an exec.

        Every fifth of each kind carries ids that were never seen.
        """
        events = [self.event(_MIXED[at % 10], fresh=at // 10 % 5 == 0) for at in range(count)]
        return _messages(events)

    def event(self, kind: str, *, fresh: bool) -> Event:
        """Return one event of a kind: `p`, `f`, `d` (a file by number) or `n`."""
        made = {"p": self._exec, "f": self._open, "d": self._numbered, "n": self._connect}
        return made[kind](fresh=fresh)

    def _exec(self, *, fresh: bool) -> Event:
        argv = self._random.choice(_COMMANDS)(self._word(fresh=fresh), self._word(fresh=fresh))
        return self._event("process", "exec", self._process(argv))

    def _open(self, *, fresh: bool) -> Event:
        file = File(path=f"/data/in/img-{self._word(fresh=fresh)}.jpg", flags=["read"])
        return self._event("file", "open", self._process(["java", "-jar", "/app/app.jar"]), file=file)

    def _numbered(self, *, fresh: bool) -> Event:
        number = self._random.randrange(10**8, 10**9) if fresh else 123_456_789
        file = File(path=f"/data/scans/{number}.png", flags=["read"])
        return self._event("file", "open", self._process(["java", "-jar", "/app/app.jar"]), file=file)

    def _connect(self, *, fresh: bool) -> Event:
        number = self._random.randrange(2, 250) if fresh else 9
        network = Network(
            direction="egress",
            protocol="tcp",
            remote_ip=f"10.0.0.{number}",
            remote_port=5432,
            local_port=self._random.randrange(32768, 60999) if fresh else 40112,
            domain=self._random.choice(_HOSTS),
        )
        return self._event(
            "network", "connect", self._process(["java", "-jar", "/app/app.jar"]), network=network
        )

    def _word(self, *, fresh: bool) -> str:
        return f"a{self._random.getrandbits(4 * _WORD):0{_WORD}x}7" if fresh else "a7f3a9c1200ab12ef7"

    def _process(self, argv: list[str]) -> Process:
        pid = self._random.randrange(2, 4_000_000)
        return Process(
            pid=pid,
            ppid=12,
            exe=f"/usr/bin/{argv[0]}",
            name=argv[0],
            parent="bash",
            argv=argv,
            cwd="/app",
            uid=1000,
            ancestors=["bash", "tini"],
            exe_class="image",
            capabilities="0000000000000000",
        )

    def _event(self, kind: str, op: str, process: Process, **parts: File | Network) -> Event:
        self._ts += 1_000_000
        pod = Pod("web-0", "shop", "123e4567-e89b-12d3-a456-426614174000")
        return Event(
            ts=self._ts,
            node="n1",
            class_=kind,
            op=op,
            container=Container(self._id, "web", IMAGE, DIGEST, pod),
            process=process,
            id=f"n1-{self._ts:x}",
            token=self._random.randbytes(16),
            **parts,
        )

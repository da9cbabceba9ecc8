# SPDX-License-Identifier: Apache-2.0
"""Benign variations beside hostile changes that look alike (tests/nearmiss), filled in from a fixed seed."""

import hashlib
import random
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

FOLDER: Final = Path(__file__).parents[1] / "nearmiss"
LEARNED: Final = 24
"""Lines that a service learns."""

Half = Literal["tuning", "reported"]
Argv = tuple[str, ...]

_PLACE: Final = re.compile(r"\{(\w+)\}")
_WORDS: Final = [
    "orders", "mail", "billing", "report", "invoices", "carts", "users", "search", "stock", "media",
    "prices", "coupons", "reviews", "audit", "stats", "catalog", "tickets", "refunds", "events", "images",
]  # fmt: skip
_KUBERNETES: Final = "bcdfghjklmnpqrstvwxz2456789"
_HEX: Final = "0123456789abcdef"


def _drawn(choose: random.Random, kind: str) -> str:
    return _KINDS[kind](choose)


def _of(letters: str, count: int) -> Callable[[random.Random], str]:
    return lambda choose: "".join(choose.choices(letters, k=count))


def _between(low: int, high: int) -> Callable[[random.Random], str]:
    return lambda choose: str(choose.randint(low, high))


def _uuid(choose: random.Random) -> str:
    return "-".join(_of(_HEX, count)(choose) for count in (8, 4, 4, 4, 12))


def _date(choose: random.Random) -> str:
    return f"2026-{choose.randint(1, 12):02}-{choose.randint(1, 28):02}"


def _clock(choose: random.Random) -> str:
    return f"{choose.randint(0, 23):02}:{choose.randint(0, 59):02}:{choose.randint(0, 59):02}"


_KINDS: Final[dict[str, Callable[[random.Random], str]]] = {
    "hex8": _of(_HEX, 8),
    "hex12": _of(_HEX, 12),
    "hex40": _of(_HEX, 40),
    "uuid": _uuid,
    "date": _date,
    "day": lambda choose: _date(choose).replace("-", ""),
    "clock": _clock,
    "stamp": lambda choose: f"{_date(choose)}T{_clock(choose)}Z".replace("-", "").replace(":", ""),
    "epoch": _between(1_760_000_000, 1_800_000_000),
    "n": _between(1, 9),
    "nn": _between(10, 99),
    "nnn": _between(100, 999),
    "n5": _between(10_000, 99_999),
    "port": _between(8080, 8099),
    "eph": _between(32_768, 60_999),
    "mem": lambda choose: choose.choice(["256", "512", "768", "1024", "2048"]),
    "wal": _of("0123456789ABCDEF", 24),
    "ver": lambda choose: ".".join(str(choose.randint(0, 20)) for _ in range(3)),
    "word": lambda choose: choose.choice(_WORDS),
    "pod": lambda choose: f"web-{_of(_KUBERNETES, 9)(choose)}-{_of(_KUBERNETES, 5)(choose)}",
    "c": lambda _: ":",
}


@dataclass(frozen=True)
class Pair:
    """A benign variation and a hostile change of the same service."""

    benign: Argv
    hostile: Argv


@dataclass(frozen=True)
class Service:
    """What one process under one parent learned, and the pairs that it is asked about."""

    name: str
    exe: str
    parent: str
    learned: tuple[Argv, ...]
    pairs: tuple[Pair, ...]


def services(half: Half, *, learned: int = LEARNED) -> Iterator[Service]:
    """Yield the services of one half (`tuning` lies in several files), each with `learned` filled lines."""
    for path in files_of(half):
        yield from services_in(path, learned=learned)


def files_of(half: Half) -> list[Path]:
    """Return the files of one half."""
    return sorted(FOLDER.glob(f"{half}*.yaml"))


def digest_of(half: Half) -> str:
    """Return a digest of the files of one half."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files_of(half))).hexdigest()


def services_in(path: Path, *, learned: int = LEARNED) -> Iterator[Service]:
    """Yield the services of one file.

    Hands that never met asked the same of `nginx -g 'daemon off;'`: such pairs the tuning half leaves out.
    """
    for record in yaml.safe_load(path.read_text()):
        service = _service(record, learned)
        if path.name.startswith("tuning"):
            pairs = tuple(pair for pair in service.pairs if not _is_reported(service, pair))
            service = replace(service, pairs=pairs)
        yield service


def _is_reported(service: Service, pair: Pair) -> bool:
    reported = _reported(len(service.learned))
    return any((service.learned, line) in reported for line in (pair.benign, pair.hostile))


@lru_cache(maxsize=4)
def _reported(learned: int) -> frozenset[tuple[tuple[Argv, ...], Argv]]:
    """Return what the reported half asks of whom."""
    asked = (each for path in files_of("reported") for each in services_in(path, learned=learned))
    return frozenset(
        (each.learned, line) for each in asked for pair in each.pairs for line in (pair.benign, pair.hostile)
    )


def _service(record: dict[str, Any], learned: int) -> Service:
    choose = random.Random(record["service"])  # noqa: S311  # to be the same each time
    templates = record["learn"]
    lines = [_filled(choose, templates[at % len(templates)]) for at in range(learned)]
    pairs = [
        Pair(_filled(choose, pair["benign"]), _filled(choose, pair["hostile"])) for pair in record["pairs"]
    ]
    return Service(record["service"], record["exe"], record.get("parent", "sh"), tuple(lines), tuple(pairs))


def _filled(choose: random.Random, template: str) -> Argv:
    return tuple(
        _PLACE.sub(lambda match: _drawn(choose, match[1]) if match[1] in _KINDS else match[0], word)
        for word in shlex.split(template)
    )

# SPDX-License-Identifier: Apache-2.0
"""How a profile grows with the number of distinct arguments and paths, and the service with that of images.

Arguments are words that no type covers, the worst case: each makes a form of its own. Paths are words too,
in one folder. Bytes are those of the snapshot, without vectors.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from habitus.events import Container, Event, File, Process
from habitus_bench.profiler.throughput import LIMITS, RULE
from habitus_profiler import snapshot
from habitus_profiler.convergence import Learning
from habitus_profiler.profile import Profile

_COUNTS: Final = (100, 1_000, 10_000)
_IMAGES: Final = (10, 100)
_FORMS: Final = 50
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def measure(rounds: int) -> Mapping[str, float]:
    """Return snapshot bytes and trie nodes by count; the same in every round."""
    del rounds
    found: dict[str, float] = {}
    for count in _COUNTS:
        profile = _learned(map(_exec, _words(count)))
        found[f"growth.arguments_{count}.bytes"] = len(snapshot.sealed(profile, "s"))
        profile = _learned(map(_open, _words(count)))
        found[f"growth.paths_{count}.bytes"] = len(snapshot.sealed(profile, "s"))
        found[f"growth.paths_{count}.nodes"] = profile.file.size
    for count in _IMAGES:
        profiles = [
            _learned(map(_exec, _words(_FORMS)), f"shop/image-{number}:v1") for number in range(count)
        ]
        found[f"growth.images_{count}.bytes"] = sum(len(snapshot.sealed(each, "s")) for each in profiles)
    return found


def _learned(events: Iterator[Event], image: str = "shop/web:v1") -> Profile:
    profile = Profile(image, 0, LIMITS, Learning(RULE))
    for event in events:
        profile.learn(event)
    return profile


def _words(count: int) -> Iterator[str]:
    for number in range(count):
        yield "".join(_LETTERS[number // 26**at % 26] for at in range(6, -1, -1))


def _exec(word: str) -> Event:
    process = Process(
        exe="/usr/bin/job", name="job", parent="sh", argv=["job", "--run", word, "--out", "/data/out"]
    )
    return Event(ts=1, class_="process", op="exec", container=Container(image="shop/web:v1"), process=process)


def _open(word: str) -> Event:
    file = File(path=f"/data/in/{word}.csv", flags=["read"])
    process = Process(name="job")
    return Event(
        ts=1, class_="file", op="open", container=Container(image="shop/web:v1"), process=process, file=file
    )

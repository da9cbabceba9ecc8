# SPDX-License-Identifier: Apache-2.0
"""What departures meant elsewhere: a logistic regression over what is new in a command line.

A leaf tells what is new here, and not what it is likely to mean. That is learned once, from command lines of
which people said whether a person should hear of them (the tuning half of tests/nearmiss; `make prior` writes
`prior.tsv`): `--plugin-dir` mostly meant harm, `--batch-size` hardly ever. Features are the parts of new
words and of novel slots, with four letters in a row for words that nobody wrote before (the subwords of
fastText: Bojanowski et al. 2017, arXiv:1607.04606). Hosts, and names that give away who wrote them, are none.

It decides little by itself. It may acquit a line with one or two novel slots of kinds that are seldom harm,
and accuse one that the slots call quiet; what only the cosine is asked about stays the cosine's. Whatever was
never seen and is an outside host, a scratch or hidden place, a shell, a blob, what is loaded, a protection
that is off or a variable of the environment stays news. Other new words, however mild, outweigh no more
than `_BOUGHT_OFF` of what speaks against a line (docs/decisions/0037).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from habitus_profiler.addresses import is_inside
from habitus_profiler.kindred import POWERFUL
from habitus_profiler.programs import RUNNING
from habitus_profiler.slots import Slot
from habitus_profiler.words import words

Features = dict[str, float]

_SPLIT: Final = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_HOST: Final = re.compile(
    r"://[^/\s]*|\b\d+\.\d+\.\d+\.\d+\b"
    r"|(?:[\w-]+\.)+(?:com|example|internal|invalid|io|lan|local|net|org|svc|test)\b"
)
_GIVEAWAYS: Final = words(
    """
    attacker backdoor dropper evil example exfil hack implant leak loot malware payload pwn rogue sneaky steal
    stealer stolen
    """
)
"""Words by which those who wrote the examples named harm; those who do harm do not."""
_HARD: Final = frozenset(
    {"blob", "entry", "layer", "load", "mode", "overlong", "program", "reach", "scratch", "switch"}
)
_PLACES: Final = frozenset({"load", "operator", "path", "program"})
_LOOSE: Final = ("/tmp", "/.", "/dev/shm")  # noqa: S108  # the names of the places, not uses
_POWERS: Final = frozenset(
    {"/", "/boot", "/dev", "/etc", "/etc/gshadow", "/etc/passwd", "/etc/shadow", "/etc/sudoers"}
    | {"/home", "/proc", "/root", "/run", "/sys", "/var", "/var/lib", "/var/run"}
)
_MOST_SLOTS: Final = 2
_BOUGHT_OFF: Final = 4.0
_LETTERS: Final = 4
_GRAM: Final = 0.3
_LONGEST: Final = 200
_MOST_WORDS: Final = 64
_MOST_NEW: Final = 4
_REASONS: Final = 3
_TELLS: Final = 0.5
_COUNT: Final = "new"
"""The feature of how much is new."""


class Weights(NamedTuple):
    """`of`: feature → log odds of harm. A line is acquitted up to `acquits`, accused above `accuses`."""

    of: dict[str, float]
    bias: float
    acquits: float
    accuses: float


class Weighed(NamedTuple):
    """`score`: the log odds of harm; `bounded`: the same where little outweighs much.

    `weak`: whether what is novel may be harmless at all; `because`: the new words that speak most for harm.
    """

    weights: Weights
    score: float
    bounded: float
    weak: bool
    because: tuple[str, ...]

    @property
    def acquitted(self) -> bool:
        """Whether such things hardly ever meant harm."""
        return self.weak and self.bounded <= self.weights.acquits

    @property
    def accused(self) -> bool:
        """Whether such things mostly meant harm, and some word tells why."""
        return bool(self.because) and self.score > self.weights.accuses


class Seen(NamedTuple):
    """The words of a leaf's forms, and their parts in lower case."""

    words: AbstractSet[str]
    parts: AbstractSet[str]


def weigh(text: str, novel: Sequence[Slot], seen: Seen, weights: Weights | None = None) -> Weighed:
    """Return what is to be thought of a normal form, by its novel slots and its words that are new."""
    weights = weights or shipped()
    of_slots = merged(features_of(slot) for slot in novel)
    quiet = list(new_words(text, seen))
    score = weights.bias + weights.of.get(_COUNT, 0.0) * min(len(novel) + len(quiet), _MOST_NEW)
    score += _weight(of_slots, weights)
    against = 0.0
    for name, value in merged(features for _, features in quiet).items():
        weight = weights.of.get(name, 0.0) * max(0.0, value - of_slots.get(name, 0.0))
        score, against = score + max(weight, 0.0), against + min(weight, 0.0)
    because = sorted(((_weight(features, weights), word) for word, features in quiet), reverse=True)
    return Weighed(
        weights,
        score + against,
        score + max(against, -_BOUGHT_OFF),
        0 < len(novel) <= _MOST_SLOTS and not any(map(is_hard, novel)),
        tuple(word[:_LONGEST] for weight, word in because[:_REASONS] if weight >= _TELLS),
    )


def _weight(features: Features, weights: Weights) -> float:
    return sum(weights.of.get(name, 0.0) * value for name, value in features.items())


def features(text: str, novel: Sequence[Slot], seen: Seen) -> Features:
    """Return the features of a line, as they are weighed."""
    found = [*map(features_of, novel), *(features for _, features in new_words(text, seen))]
    return merged(found) | {_COUNT: float(min(len(found), _MOST_NEW))}


def is_hard(slot: Slot) -> bool:
    """Say whether a slot that was never seen is news whatever such things meant elsewhere."""
    kind, value = slot
    if kind == "remote":
        return not is_inside(value)
    if kind == "command":
        return value in RUNNING
    if kind == "variable":
        return value.rpartition(" ")[2].isupper()
    return kind in _HARD or (kind in _PLACES and (_is_loose(value) or _is_powerful(value)))


def _is_powerful(place: str) -> bool:
    """Say whether who reads or writes a place may own the container, its node or its accounts."""
    if place.endswith(".sock") or place.startswith(("./", "../")):
        return True
    return place in _POWERS or not POWERFUL.isdisjoint(place.split("/"))


def merged(found: Iterable[Features]) -> Features:
    """Return the features of a line by those of what is new in it."""
    line: Features = {}
    for features in found:
        for name, value in features.items():
            line[name] = max(line.get(name, 0.0), value)
    return line


@lru_cache(maxsize=4096)
def features_of(slot: Slot) -> Features:
    """Return the features of a novel slot; not to be changed."""
    kind, value = slot.kind, slot.value[:_LONGEST]
    found: Features = {f"k={kind}": 1.0}
    if kind == "remote":
        found["r=" + ("in" if is_inside(value) else "out" if "." in value else "short")] = 1.0
        return found
    for part in _parts(value):
        found |= {f"{kind}:{part}": 1.0, f"p={part}": 1.0, **_letters(part)}
    if kind in _PLACES:
        place = "/".join(value.split("/")[:3])
        if _GIVEAWAYS.isdisjoint(_SPLIT.split(place)):
            found[f"pl={place}"] = 1.0
        found[f"ext={_after('.', value)[:6]}"] = 1.0
        if _is_loose(value):
            found["scratch"] = 1.0
    if kind in {"sql", "switch"}:
        found[f"{kind}={_after('=', value) or value}"] = 1.0
    return found


def new_words(text: str, seen: Seen) -> Iterator[tuple[str, Features]]:
    """Yield each word of a normal form that is new, with its features."""
    flag = ""
    for word in text.split(" ")[1:_MOST_WORDS]:
        is_flag = word[:1] == "-" and len(word) > 1
        if word not in seen.words and not (word[:1] == "<" and word[-1:] == ">"):
            sort = "flag" if is_flag else "path" if "/" in word else "set" if "=" in word else "word"
            found: Features = {f"w={sort}": 1.0}
            for part in _parts(word[:_LONGEST]):
                if part not in seen.parts:
                    found |= {f"p={part}": 1.0, f"wp:{part}": 1.0, **_letters(part)}
            if flag and not is_flag:
                found |= {f"behind:{part}": 1.0 for part in _parts(flag)}
            yield word, found
        flag = word if is_flag and "=" not in word else ""


def seen_in(forms: Iterable[str]) -> Seen:
    """Return the words and parts of words of normal forms."""
    known = frozenset(word for form in forms for word in form.split(" "))
    return Seen(known, frozenset(part.lower() for word in known for part in _SPLIT.split(word)))


@lru_cache(maxsize=8192)
def _parts(text: str) -> tuple[str, ...]:
    parts = (part.lower() for part in _SPLIT.split(_HOST.sub(" ", text)))
    return tuple(part for part in parts if len(part) > 1 and part not in _GIVEAWAYS)


@lru_cache(maxsize=8192)
def _letters(part: str) -> Features:
    whole = f"^{part}$"
    return {f"g={whole[at : at + _LETTERS]}": _GRAM for at in range(max(1, len(whole) - _LETTERS + 1))}


def _is_loose(place: str) -> bool:
    return any(loose in place for loose in _LOOSE)


def _after(mark: str, text: str) -> str:
    return text.rpartition(mark)[2] if mark in text else ""


@lru_cache(maxsize=1)
def shipped() -> Weights:
    """Return the weights that come along."""
    return read((files("habitus_profiler") / "prior.tsv").read_text("utf-8"))


def read(text: str) -> Weights:
    """Return the weights of a table: a name, a tab, a figure; `#` before what is told of the whole.

    Raises:
        ValueError: a line without a figure, or a table without `#bias`, `#acquits` and `#accuses`.
    """
    of: dict[str, float] = {}
    for line in text.splitlines():
        name, tab, figure = line.rpartition("\t")
        if tab:
            of[name] = float(figure)
        elif not line.startswith("# "):
            raise ValueError(f"no figure: {line[:_LONGEST]}")
    try:
        bias, acquits, accuses = (of.pop(name) for name in ("#bias", "#acquits", "#accuses"))
    except KeyError as missing:
        raise ValueError(f"{missing} is missing") from None
    return Weights(of, bias, acquits, accuses)

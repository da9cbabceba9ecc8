# SPDX-License-Identifier: Apache-2.0
"""Learns what departures mean (habitus_profiler/prior.tsv) from the tuning half: `make prior`.

The reported half is not read. Flags of which the programs' manuals say whether they do harm are learned
from, too (services/profiler/tests/data). Each sixth of the files, which are by different hands, is left out
once, and what the others say of it is the reading. Weights that say next to nothing go.

The two thresholds were chosen by the readings of `_UNRULED` alone before any rule was chosen by these files:
elsewhere the rules are right more often than they will be. Chosen was the pair with the least sum of false
positives and misses, each by its aim (`--thresholds` shows what it would be today).
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

import habitus_profiler
from habitus_bench.profiler.nearmiss import MODEL, embed
from habitus_leaves import listed, used_a_little
from habitus_nearmiss import Service, digest_of, files_of, services_in
from habitus_nearmiss_steps import STEPS, leaf_of, verdict_of
from habitus_profiler import prior
from habitus_profiler.forms import form_of
from habitus_profiler.slots import Slot

_OUTPUT: Final = Path(habitus_profiler.__file__).parent / "prior.tsv"
_FOLDS: Final = 6
_STRENGTH: Final = 4.0
_LEAST: Final = 0.1
_UNRULED: Final = frozenset(f"tuning-{number}.yaml" for number in range(51, 59))
_CHOSEN: Final = (-0.75, -0.5)
_AIMS: Final = (0.03, 0.02)
_ACQUITS: Final = np.arange(-2.5, 0.6, 0.25)
_ACCUSES: Final = np.arange(-1.0, 2.1, 0.25)

Array = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]


class Line(NamedTuple):
    """A judged command line: what of it was new, what the rules say, and what people say."""

    hand: str
    hostile: bool
    ruled: bool
    text: str
    novel: tuple[Slot, ...]
    seen: prior.Seen


class Readings(NamedTuple):
    """Of each line what weights say that did not see its file: to acquit it by, and to accuse it by."""

    bounded: Array
    score: Array


def main() -> None:
    """Read the tuning half, measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    parser.add_argument("--measure", action="store_true", help="measure only, write nothing")
    parser.add_argument("--thresholds", action="store_true", help="choose the thresholds anew")
    options = parser.parse_args()
    lines = list(_lines())
    hands = sorted({line.hand for line in lines})
    folds = [set(hands[at::_FOLDS]) for at in range(_FOLDS)]
    flags = [*_flags("harmful_flags.txt", hostile=True), *_flags("harmless_flags.txt", hostile=False)]
    readings = _left_out(lines, flags, folds)
    acquits, accuses = _thresholds(lines, readings) if options.thresholds else _CHOSEN
    false_positives, misses = _rates(lines, readings, acquits, accuses)
    sys.stdout.write(
        f"{len(lines)} lines of {len(hands)} files, acquits {acquits:+.2f}, accuses {accuses:+.2f}\n"
        f"each when left out: false positives {false_positives:.4f}, misses {misses:.4f}\n"
    )
    if not options.measure:
        weights = _fitted([*lines, *flags])._replace(acquits=acquits, accuses=accuses)
        options.output.write_text(_written(weights, len(lines), len(flags)), "utf-8")
        sys.stdout.write(f"wrote {options.output}: {len(weights.of)} weights\n")


def _lines() -> list[Line]:
    found: list[Line] = []
    for path in files_of("tuning"):
        for service in services_in(path):
            found.extend(_lines_of(path.name, service))
    return found


def _lines_of(hand: str, service: Service) -> Iterator[Line]:
    leaf = leaf_of(service, embed, MODEL.threshold)
    seen = prior.seen_in(leaf.forms)
    for pair in service.pairs:
        for argv in (pair.benign, pair.hostile):
            found = verdict_of(service, leaf, argv, embed, MODEL.threshold)
            form = form_of(argv)
            known = found.known[STEPS.index("without_prior")]
            yield Line(hand, argv is pair.hostile, known, form.text, tuple(leaf.strange(form)), seen)


def _flags(name: str, *, hostile: bool) -> Iterator[Line]:
    """Yield each flag of a list, as new to a program that has run with next to none."""
    for program, arguments in listed(name):
        leaf = used_a_little(program)
        form = form_of((program, *arguments))
        novel = tuple(leaf.strange(form))
        yield Line(name, hostile, not novel, form.text, novel, prior.seen_in(leaf.forms))


def _table(lines: Sequence[Line]) -> list[prior.Features]:
    return [prior.features(line.text, line.novel, line.seen) for line in lines]


def _fitted(lines: Sequence[Line]) -> prior.Weights:
    vectors = DictVectorizer()
    table: csr_matrix = vectors.fit_transform(_table(lines))
    model = LogisticRegression(C=_STRENGTH, max_iter=1000).fit(table, [line.hostile for line in lines])
    weights = zip(vectors.get_feature_names_out(), model.coef_[0], strict=True)
    of = {str(name): round(float(weight), 2) for name, weight in weights if abs(weight) >= _LEAST}
    return prior.Weights(of, round(float(model.intercept_[0]), 2), 0.0, 0.0)


def _left_out(lines: Sequence[Line], flags: Sequence[Line], folds: Sequence[set[str]]) -> Readings:
    bounded, score = np.zeros(len(lines)), np.zeros(len(lines))
    for fold in folds:
        weights = _fitted([line for line in (*lines, *flags) if line.hand not in fold])
        for at, line in enumerate(lines):
            if line.hand in fold:
                weighed = prior.weigh(line.text, line.novel, line.seen, weights)
                score[at] = weighed.score if weighed.because else -np.inf
                bounded[at] = weighed.bounded if weighed.weak else np.inf
    return Readings(bounded, score)


def _thresholds(lines: Sequence[Line], readings: Readings) -> tuple[float, float]:
    judging = np.array([line.hand in _UNRULED for line in lines])
    few = [line for line in lines if line.hand in _UNRULED]
    found = Readings(readings.bounded[judging], readings.score[judging])

    def cost(pair: tuple[float, float]) -> float:
        ratios = [rate / aim for rate, aim in zip(_rates(few, found, *pair), _AIMS, strict=True)]
        return sum(ratios)

    return min(((float(at), float(over)) for at in _ACQUITS for over in _ACCUSES if over > at), key=cost)


def _rates(lines: Sequence[Line], readings: Readings, acquits: float, accuses: float) -> tuple[float, float]:
    """Return the shares of false positives and of misses by two thresholds."""
    hostile: Truths = np.array([line.hostile for line in lines])
    known: Truths = np.array([line.ruled for line in lines])
    news = (~known & ~(readings.bounded <= acquits)) | (known & (readings.score > accuses))
    return float(news[~hostile].mean()), float((~news[hostile]).mean())


def _written(weights: prior.Weights, count: int, flags: int) -> str:
    head = [
        "# What is new in a command line, and the log odds that it is harm. Made by `make prior`.",
        f"# From {count} lines of tests/nearmiss/tuning-*.yaml, sha256 {digest_of('tuning')}",
        f"# and {flags} flags of services/profiler/tests/data",
        f"#bias\t{weights.bias}",
        f"#acquits\t{weights.acquits}",
        f"#accuses\t{weights.accuses}",
    ]
    return "\n".join([*head, *(f"{name}\t{weight}" for name, weight in sorted(weights.of.items()))]) + "\n"


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""What each step of the profiler says of the near misses, alone and all together."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from habitus_nearmiss import LEARNED, Argv, Half, Service, services
from habitus_profiler.forms import form_of
from habitus_profiler.leaf import Leaf, gated

Vectors = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Vectors]
"""Texts → unit rows."""

STEPS: Final = ("normal_form_only", "slots_only", "cosine_only", "without_prior", "all")
_MAX_VECTORS: Final = 256


class Verdict(NamedTuple):
    """`known` of one command line by each of `STEPS`; `cosine` to the nearest learned one."""

    service: str
    argv: Argv
    known: tuple[bool, ...]
    detail: str
    cosine: float
    hostile: bool = False


def verdicts(half: Half, embed: Embed, threshold: float, learned: int = LEARNED) -> Iterator[Verdict]:
    """Yield what each step says of every command line of one half."""
    for service in services(half, learned=learned):
        leaf = leaf_of(service, embed, threshold)
        for pair in service.pairs:
            for argv in (pair.benign, pair.hostile):
                found = verdict_of(service, leaf, argv, embed, threshold)
                yield found._replace(hostile=argv is pair.hostile)


def rates(found: list[Verdict], step: str) -> tuple[float, float]:
    """Return the shares of false positives and of misses of one step."""
    at = STEPS.index(step)
    benign = [each.known[at] for each in found if not each.hostile]
    hostile = [each.known[at] for each in found if each.hostile]
    return benign.count(False) / len(benign), hostile.count(True) / len(hostile)


def leaf_of(service: Service, embed: Embed, threshold: float) -> Leaf:
    """Return what one process of a service has learned."""
    leaf = Leaf()
    for argv in service.learned:
        leaf.learn(service.exe, form_of(argv))
    texts = list(leaf.pending)
    for text, vector in zip(texts, embed(texts), strict=True):
        leaf.resolve(text, vector, gated(threshold), _MAX_VECTORS)
    return leaf


def verdict_of(service: Service, leaf: Leaf, argv: Argv, embed: Embed, threshold: float) -> Verdict:
    """Return what each step says of one command line."""
    form = form_of(argv)
    cosine = leaf.nearest(embed([form.text])[0], 1)[0][1]
    novelty = leaf.novelty(service.exe, form)
    is_form = form.text in leaf.forms
    is_near = cosine >= threshold
    unseen = bool(leaf.strange(form))
    is_like = leaf.knows(form) or cosine >= leaf.needed(form, threshold)
    is_known = is_like or leaf.is_quiet(form)
    is_ruled = not unseen and (is_like or leaf.says_nothing(form))
    known = (is_form, not unseen, is_near, is_ruled, novelty is None and is_known)
    detail = novelty.detail if novelty else f"cosine {cosine:.2f}: {form.text}"
    return Verdict(service.name, argv, known, detail, cosine)

# SPDX-License-Identifier: Apache-2.0
"""Benign variations beside hostile changes that look alike, over seventeen services.

The same hand wrote the cases and the rules: the figures say that nothing broke, not how good it is.
"""

import json
from pathlib import Path

from habitus_profiler.forms import form_of
from habitus_profiler.leaf import Leaf

CASES = Path(__file__).parent / "data" / "near_misses.jsonl"
THRESHOLD = 0.65


def judged(vector_of):
    """Yield (service, hostile?, command line, verdict)."""
    for line in CASES.read_text().splitlines():
        case = json.loads(line)
        leaf = Leaf()
        for argv in case["learn"]:
            leaf.learn(case["exe"], form_of(tuple(argv)))
        for text in list(leaf.pending):
            leaf.resolve(text, vector_of(text), THRESHOLD, 256)
        for pair in case["pairs"]:
            for kind in ("benign", "hostile"):
                form = form_of(tuple(pair[kind]))
                nearest = leaf.nearest(vector_of(form.text), 1)
                known = form.text in leaf.forms or nearest[0][1] >= THRESHOLD
                novel = leaf.novelty(case["exe"], form)
                yield case["service"], kind == "hostile", pair[kind], "novel-slot" if novel else known


def test_no_hostile_near_miss_is_known(vector_of):
    """Each of them has a slot that its service never had."""
    missed = [argv for _, hostile, argv, verdict in judged(vector_of) if hostile and verdict is True]
    assert missed == []


def test_slots_call_few_benign_variations_hostile(vector_of):
    """At most one in ten (nearly all of them flags that were added)."""
    benign = [verdict for _, hostile, _, verdict in judged(vector_of) if not hostile]
    assert len(benign) >= 60
    assert benign.count("novel-slot") <= len(benign) // 10

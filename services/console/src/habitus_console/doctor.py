# SPDX-License-Identifier: Apache-2.0
"""What this machine offers, asked of the collector, which alone knows the kernel."""

import json
import subprocess
import sys
from typing import Any

from pydantic import BaseModel, ValidationError
from rich.console import Group, RenderableType
from rich.table import Table

from habitus_console.render import safe


class Check(BaseModel):
    """One thing looked for: what was found, and what to do where it is missing."""

    name: str
    ok: bool
    required: bool = False
    found: str = ""
    advice: str = ""
    section: str = ""


class Diagnosis(BaseModel):
    """All checks; `ok` when collection is possible."""

    ok: bool
    checks: list[Check]

    @property
    def obstacles(self) -> list[Check]:
        """The failed checks that collection needs."""
        return [check for check in self.checks if check.required and not check.ok]


def diagnose() -> Diagnosis:
    """Run the collector's own examination of this machine."""
    command = [sys.executable, "-m", "habitus_collector.doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
        return Diagnosis.model_validate({"ok": done.returncode == 0} | answer)
    except (ValueError, ValidationError):
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        missing = Check(
            name="collector", ok=False, required=True, found=said, advice="install habitus-collector"
        )
        return Diagnosis(ok=False, checks=[missing])


def table(diagnosis: Diagnosis) -> RenderableType:
    """The checks, a row each, in a table for each section."""
    sections = dict.fromkeys(check.section for check in diagnosis.checks)
    return Group(*(_section(name, diagnosis) for name in sections))


def _section(name: str, diagnosis: Diagnosis) -> Table:
    rows = Table("", "what", "found", "what to do", title=safe(name), title_justify="left")
    for check in diagnosis.checks:
        if check.section == name:
            mark = "✓" if check.ok else ("✗" if check.required else "–")
            rows.add_row(mark, safe(check.name), safe(check.found), safe("" if check.ok else check.advice))
    return rows

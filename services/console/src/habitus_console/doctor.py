# SPDX-License-Identifier: Apache-2.0
"""What this machine offers, asked of the collector, which alone knows the kernel."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from rich.console import Group, RenderableType

from habitus.bus import Bus, BusFault
from habitus.languages import Bilingual, Language
from habitus.nodes import NodeStatus
from habitus.settings import Settings
from habitus_console import nodes, stack, state
from habitus_console.listing import Listing
from habitus_console.render import safe

_ANSWER_S: Final = 3.0


_WORDS: Final = {
    "what": Bilingual(en="what", zh="项目"),
    "found": Bilingual(en="found", zh="发现"),
    "do": Bilingual(en="what to do", zh="如何处理"),
}


class Check(BaseModel):
    """One thing looked for: what was found, and what to do where it is missing.

    `name` is the same in every language, `title` is what a person reads.
    """

    name: str
    title: str = ""
    ok: bool
    required: bool = False
    found: str = ""
    advice: str = ""
    section: str = ""


class Diagnosis(BaseModel):
    """All checks; `ok` when collection is possible."""

    ok: bool
    checks: list[Check]
    nodes: list[NodeStatus] = []
    """What the collectors of the running stack say of their nodes, where one runs."""

    @property
    def obstacles(self) -> list[Check]:
        """The failed checks that collection needs."""
        return [check for check in self.checks if check.required and not check.ok]


def diagnose(settings: Settings, language: Language = "en") -> Diagnosis:
    """Run the collector's own examination of this machine; texts are in that language."""
    command = [sys.executable, "-m", "habitus_collector.doctor", "--json", "--lang", language]
    # As `habitus up` starts the collector.
    environment = {stack.SPOOL: str(stack.spool_of(state.folder(settings))), **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
        return Diagnosis.model_validate({"ok": done.returncode == 0} | answer)
    except (ValueError, ValidationError):
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        missing = Check(
            name="collector", ok=False, required=True, found=said, advice="install habitus-collector"
        )
        return Diagnosis(ok=False, checks=[missing])


async def with_nodes(diagnosis: Diagnosis, settings: Settings) -> Diagnosis:
    """Add what the collectors of the running stack say; where none runs, or it does not answer, nothing."""
    broker = state.running_broker(settings)
    if broker is None:
        return diagnosis
    with contextlib.suppress(BusFault, TimeoutError):
        async with asyncio.timeout(_ANSWER_S), Bus(broker, "doctor") as bus:
            return diagnosis.model_copy(update={"nodes": await nodes.statuses(bus)})
    return diagnosis


def table(diagnosis: Diagnosis, language: Language = "en") -> RenderableType:
    """The checks, a row each, in a table for each section; then a table for each running collector."""
    sections = dict.fromkeys(check.section for check in diagnosis.checks)
    of_nodes = (nodes.table(status, language) for status in diagnosis.nodes)
    return Group(*(_section(name, diagnosis, language) for name in sections), *of_nodes)


def _section(name: str, diagnosis: Diagnosis, language: Language) -> Listing:
    headings = (word.in_(language) for word in _WORDS.values())
    rows = []
    for check in diagnosis.checks:
        if check.section == name:
            mark = "✓" if check.ok else ("✗" if check.required else "–")
            advice = "" if check.ok else check.advice
            rows.append([safe(cell) for cell in (mark, check.title or check.name, check.found, advice)])
    return Listing(["", *headings], rows, title=safe(name))

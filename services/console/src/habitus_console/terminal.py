# SPDX-License-Identifier: Apache-2.0
"""What every subcommand shares: the two consoles, the language, and how a fault becomes one line."""

import asyncio
import io
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.highlighter import JSONHighlighter

from habitus import log, settings
from habitus.bus import Bus, BusFault
from habitus.evidence import EvidenceFault
from habitus.languages import Language, chosen_language
from habitus.plugins import PluginFault
from habitus.text import safe_json
from habitus_console import state
from habitus_console.alert_client import StoreFault
from habitus_console.dead_letters import SinksFault
from habitus_console.demo.containerd import ContainerdFault
from habitus_console.demo.image import ImageFault
from habitus_console.embedder import EmbedderFault
from habitus_console.profiles import ProfilesFault
from habitus_console.render import safe
from habitus_console.stack import StackFault
from habitus_console.state import StateFault
from habitus_console.target_sets import TargetsFault

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
_FAULTS: Final = (
    BusFault,
    ContainerdFault,
    EmbedderFault,
    EvidenceFault,
    ImageFault,
    PluginFault,
    ProfilesFault,
    SinksFault,
    StackFault,
    StateFault,
    StoreFault,
    TargetsFault,
)
T = TypeVar("T")

out = Console()
# A message stays one line for whoever reads it from a file.
err = Console(stderr=True, soft_wrap=True)


def show(as_text: str, panel: Callable[[], RenderableType], *, as_json: bool) -> None:
    """Print one thing: as a line of JSON, which no terminal's width breaks, or as its panel.

    `as_text` is JSON of one line. What was observed reaches the terminal escaped either way.
    """
    if as_json:
        out.print(safe_json(as_text), soft_wrap=True, markup=False, highlight=False)
    else:
        out.print(panel())


def document(value: Any) -> None:
    """Print a model, or what `json` knows, as indented JSON: no width breaks it, no control shows."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    lines = json.dumps(plain, indent=2, ensure_ascii=False).split("\n")
    out.print(JSONHighlighter()("\n".join(map(safe_json, lines))), soft_wrap=True)


def take_any_locale() -> None:
    """Escape what the locale's encoding has no character for, instead of failing at it."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # stderr does so by itself
        sys.stdout.reconfigure(errors="backslashreplace")


def load(path: Path | None) -> settings.Settings:
    """Read the settings and set up the log; a fault ends the command with one line."""
    try:
        loaded = settings.load(path)
    except settings.SettingsFault as fault:
        fail(str(fault), EXIT_USAGE)
    log.set_up(loaded.log.level, json_lines=loaded.log.json_lines)
    return loaded


def language(option: str | None, loaded: settings.Settings) -> Language:
    """Return the language to show: the option, else the setting, else the locale."""
    return chosen_language(option, loaded.console.language)


def with_bus(loaded: settings.Settings, work: Callable[[Bus], Awaitable[None]]) -> None:
    """Connect to the running stack and do `work`."""

    async def connected() -> None:
        async with Bus(state.broker(loaded), "console") as bus:
            await work(bus)

    run(connected())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; a fault that a person can mend ends the command with one line."""
    try:
        return asyncio.run(work)
    except _FAULTS as fault:
        fail(str(fault), EXIT_FAILED)
    except BrokenPipeError:
        # Whoever read has seen enough; what is left must not fail once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_FAILED) from None
    except OSError as fault:
        fail(f"{fault.filename or 'system'}: {fault.strerror or fault}", EXIT_FAILED)
    except KeyboardInterrupt:
        fail("interrupted", EXIT_INTERRUPTED)


def fail(text: str, code: int) -> NoReturn:
    """Say `text` in one line and end with `code`."""
    sys.stdout.flush()
    err.print(safe(f"habitus: {text}", 1000))
    raise typer.Exit(code)

# SPDX-License-Identifier: Apache-2.0
"""Options that many commands share."""

import getpass
from pathlib import Path
from typing import Annotated

import typer


def _known(lang: str | None) -> str | None:
    if lang is not None and not lang.lower().startswith(("en", "zh")):
        raise typer.BadParameter("en or zh")
    return lang


SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="TOML file; the environment (HABITUS_…) wins over it.")
]
Image = Annotated[str, typer.Argument(help="Image key as `profile list` shows it, e.g. webapp:v1.")]
ImageBegun = Annotated[
    str, typer.Argument(help="Image key, or how it or its name begins where that is one profile's alone.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Who = Annotated[
    str, typer.Option("--who", help="Who says so; kept with it.", default_factory=getpass.getuser)
]
Why = Annotated[str, typer.Option("--why", help="The reason; kept with it.")]
Lang = Annotated[
    str | None,
    typer.Option("--lang", callback=_known, help="en or zh; the locale decides when left out."),
]

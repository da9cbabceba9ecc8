# SPDX-License-Identifier: Apache-2.0
"""Options that many commands share."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="TOML file; the environment (HABITUS_…) wins over it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Who = Annotated[
    str, typer.Option("--who", help="Who says so; kept with it.", default_factory=getpass.getuser)
]
Why = Annotated[str, typer.Option("--why", help="The reason; kept with it.")]
Lang = Annotated[str | None, typer.Option("--lang", help="en or zh; the locale decides when left out.")]

# SPDX-License-Identifier: Apache-2.0
"""The `habitus` command."""

import typer

app = typer.Typer()

# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_console` is the `habitus` command."""

from habitus_console.cli import app

app(prog_name="habitus")

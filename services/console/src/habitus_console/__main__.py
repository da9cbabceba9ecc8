# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_console` is the `habitus` command."""

import sys


def main() -> None:
    """Run the command; an interrupt while it still loads ends it like one later."""
    try:
        from habitus_console import cli, terminal  # noqa: PLC0415 - loading takes most of a second

        terminal.take_any_locale()
        cli.app(prog_name="habitus")
    except KeyboardInterrupt:
        sys.stderr.write("habitus: interrupted\n")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()

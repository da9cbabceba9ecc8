# SPDX-License-Identifier: Apache-2.0
"""What this machine offers: `python -m habitus_collector.doctor [--json]`. Needs no broker."""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from habitus import settings
from habitus.text import printable
from habitus_collector.check import NEEDED, OFFERED, ON, Check
from habitus_collector.checks import all_checks

_EXIT_USAGE = 2


def possible(checks: Iterable[Check]) -> bool:
    """Say whether collection is possible: everything required is there."""
    return all(check.ok for check in checks if check.required)


def as_json(checks: list[Check]) -> str:
    """Return the checks as one JSON document."""
    return json.dumps({"possible": possible(checks), "checks": [asdict(check) for check in checks]}, indent=2)


def as_text(checks: list[Check]) -> str:
    """Return the checks for a person: by sections, one line each, and below it what to do."""
    lines: list[str] = []
    for section in (NEEDED, OFFERED, ON):
        lines += ["", section] if lines else [section]
        for check in (check for check in checks if check.section == section):
            mark = "ok" if check.ok else "MISSING" if check.required else "absent"
            lines.append(f"  {mark:8} {check.name:18} {printable(check.found)}")
            if not check.ok and check.advice:
                lines.append(f"{'':29} → {check.advice}")
    verdict = "possible" if possible(checks) else "not possible"
    return "\n".join([*lines, "", f"Collection from this kernel is {verdict}."])


def main() -> int:
    """Print the checks; return 0 when collection is possible, 1 when not, 2 for bad settings."""
    parser = argparse.ArgumentParser(prog="python -m habitus_collector.doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="a JSON document")
    parser.add_argument("--settings", type=Path, help="TOML file; the environment (HABITUS_…) wins over it")
    arguments = parser.parse_args()
    try:
        loaded = settings.load(arguments.settings)
    except settings.SettingsFault as fault:
        sys.stderr.write(f"habitus doctor: {printable(str(fault))}\n")
        return _EXIT_USAGE
    checks = all_checks(loaded.collector)
    sys.stdout.write((as_json(checks) if arguments.json else as_text(checks)) + "\n")
    return 0 if possible(checks) else 1


if __name__ == "__main__":
    raise SystemExit(main())

# SPDX-License-Identifier: Apache-2.0
"""What this machine offers: `python -m habitus_collector.doctor [--json]`. Needs no broker."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from habitus import settings
from habitus.languages import Language, chosen_language, language_of
from habitus.text import printable
from habitus_collector.check import NEEDED, OFFERED, ON, Check
from habitus_collector.checks import all_checks
from habitus_collector.doctor_zh import in_chinese

_EXIT_USAGE = 2
_MARKS: Final[dict[Language, tuple[str, str, str]]] = {
    "en": ("ok", "MISSING", "absent"),
    "zh": ("正常", "缺失", "没有"),
}


def possible(checks: Iterable[Check]) -> bool:
    """Say whether collection is possible: everything required is there."""
    return all(check.ok for check in checks if check.required)


def as_json(checks: list[Check], language: Language = "en") -> str:
    """Return the checks as one JSON document: `name` in any language, `title` as a person reads it."""
    said = _sayer(language)
    found = [
        asdict(check)
        | {"title": said(check.name), "found": said(check.found), "advice": said(check.advice)}
        | {"section": said(check.section)}
        for check in checks
    ]
    return json.dumps({"possible": possible(checks), "checks": found}, indent=2)


def as_text(checks: list[Check], language: Language = "en") -> str:
    """Return the checks for a person: by sections, one line each, and below it what to do."""
    said = _sayer(language)
    good, missing, absent = _MARKS[language]
    lines: list[str] = []
    for section in (NEEDED, OFFERED, ON):
        lines += ["", said(section)] if lines else [said(section)]
        for check in (check for check in checks if check.section == section):
            mark = good if check.ok else missing if check.required else absent
            lines.append(f"  {mark:8} {said(check.name):18} {printable(said(check.found))}")
            if not check.ok and check.advice:
                lines.append(f"{'':29} → {said(check.advice)}")
    verdict = "possible" if possible(checks) else "not possible"
    return "\n".join([*lines, "", said(f"Collection from this kernel is {verdict}.")])


def _sayer(language: Language) -> Callable[[str], str]:
    return in_chinese if language == "zh" else str


def main() -> int:
    """Print the checks; return 0 when collection is possible, 1 when not, 2 for bad settings."""
    parser = argparse.ArgumentParser(prog="python -m habitus_collector.doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="a JSON document")
    parser.add_argument("--settings", type=Path, help="TOML file; the environment (HABITUS_…) wins over it")
    parser.add_argument(
        "--lang", help="en or zh; for a person the setting or the locale decides when left out"
    )
    arguments = parser.parse_args()
    try:
        loaded = settings.load(arguments.settings)
    except settings.SettingsFault as fault:
        sys.stderr.write(f"habitus doctor: {printable(str(fault))}\n")
        return _EXIT_USAGE
    checks = all_checks(loaded.collector)
    if arguments.json:
        text = as_json(checks, language_of(arguments.lang))
    else:
        text = as_text(checks, chosen_language(arguments.lang, loaded.console.language))
    sys.stdout.write(text + "\n")
    return 0 if possible(checks) else 1


if __name__ == "__main__":
    raise SystemExit(main())

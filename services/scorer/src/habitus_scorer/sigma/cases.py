# SPDX-License-Identifier: Apache-2.0
"""A rule's own test: `test.yml` beside `rule.yml`, with events that must hit and events that must not.

Each case is an event in the interchange format; what it leaves out is filled in. `argv`, `exe`,
`name`, `parent`, `uid` and `cwd` may stand at the top: they are parts of `process`. `reason` is the
anomaly's; left out it is `unknown-path`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from habitus.anomalies import Anomaly, Reason
from habitus.events import Event, fault_of
from habitus_scorer.rules_model import Rule
from habitus_scorer.sigma.fields import Record

_SHORT: Final = ("argv", "exe", "name", "parent", "uid", "cwd", "pid", "ppid", "ancestors")
_OPS: Final = {"process": "exec", "file": "open", "network": "connect"}


class CaseFault(ValueError):
    """A case that is no event; the text says where."""


class Case(NamedTuple):
    """One event and whether the rule must hit it."""

    place: str
    record: Record
    wanted: bool


def read_cases(path: Path) -> list[Case]:
    """Return the cases of a `test.yml`.

    Raises:
        CaseFault: the file holds something that is no event, or a list is missing.
        OSError, yaml.YAMLError: it cannot be read at all.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or set(document) != {"positive", "negative"}:
        raise CaseFault(f"{path}: wanted are the two lists `positive` and `negative`")
    return [
        Case(f"{path}: {kind}[{number}]", _record(f"{path}: {kind}[{number}]", given), kind == "positive")
        for kind in ("positive", "negative")
        for number, given in enumerate(document[kind] or [])
    ]


def faults_of(rule: Rule, cases: list[Case]) -> Iterator[str]:
    """Yield one line for each case that the rule decides wrongly."""
    for case in cases:
        if rule.hits(case.record) is not case.wanted:
            yield f"{case.place}: {'hit' if not case.wanted else 'not hit'} by rule {rule.id}"


def _record(place: str, given: Any) -> Record:
    try:
        reason = msgspec.convert(given.pop("reason", "unknown-path"), Reason)
        event = msgspec.convert(_filled(given), Event)
    except (msgspec.ValidationError, TypeError, AttributeError) as error:
        raise CaseFault(f"{place}: {error}") from None
    fault = fault_of(event)
    if fault:
        raise CaseFault(f"{place}: {fault}")
    return Record(
        Anomaly(id="case", event=event, image_key="case", revision=1, reason=reason, path=[], detail="")
    )


def _filled(given: dict[str, Any]) -> dict[str, Any]:
    short = {name: given[name] for name in _SHORT if name in given}
    event = {name: value for name, value in given.items() if name not in _SHORT}
    kind = next((name for name in ("network", "file") if name in event), "process")
    process = {**short, **event.get("process", {})}
    return {
        "ts": 1,
        "class": kind,
        "op": _OPS[kind],
        "container": {"image": "webapp:v1"},
        **event,
        **({"process": process} if process or kind == "process" else {}),
    }

# SPDX-License-Identifier: Apache-2.0
"""Reads alerts: pages by filter, one with its history, counts. Every value is a bound parameter."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from habitus.alerts import Alert, Severity
from habitus.languages import Bilingual
from habitus.text import printable
from habitus_console.store.alerts import ID, Unknown
from habitus_console.store.records import Entry, Happening, Page, Record, Summary
from habitus_console.store.schema import ALERTS, HISTORY, TAGS
from habitus_console.store.states import Status

Order = Literal["newest", "oldest"]
_RANKS: Final = list(Severity)
_PLAIN: Final = tuple(name for name in Entry.model_fields if name in ALERTS.c and name != "severity")
_ESCAPE: Final = "\\"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What a page is about; what is left out does not filter.

    `namespace`, `pod`, `image`, `rule` and `technique` are patterns with `*`; `words` stand in a title in
    any case; `since` and `until` are nanoseconds since the epoch and compared with the newest revision.
    """

    ids: str = ""
    status: Sequence[Status] = ()
    severity: Severity | None = None
    patterns: dict[str, str] = field(default_factory=dict)
    technique: str | None = None
    rule: str | None = None
    words: str | None = None
    since: int | None = None
    until: int | None = None


def page(
    engine: Engine, wanted: Filter, *, cursor: str | None, limit: int, order: Order, whole: bool
) -> Page:
    """Return up to `limit` alerts in the order in which they were first stored, from `cursor` on.

    New revisions and decisions do not move an alert. In the order `oldest` there is always a cursor:
    what comes later follows it.
    """
    number = ALERTS.c.number
    columns = [column for column in ALERTS.c if whole or column is not ALERTS.c.document]
    query = select(*columns).where(*_conditions(wanted)).limit(limit + 1)
    query = query.order_by(number.asc() if order == "oldest" else number.desc())
    if cursor is not None:
        query = query.where(number > int(cursor) if order == "oldest" else number < int(cursor))
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
        shown, more = rows[:limit], len(rows) > limit
        entries = _entries(connection, shown, whole=whole)
    last = str(shown[-1]["number"]) if shown else cursor or "0"
    return Page(alerts=entries, cursor=last if more or order == "oldest" else None)


def one(engine: Engine, alert_id: str) -> Record:
    """Return one alert with its history.

    Raises:
        Unknown: no such alert.
    """
    with engine.connect() as connection:
        row = (
            connection.execute(select(ALERTS).where(ALERTS.c.id == printable(alert_id, ID)))
            .mappings()
            .first()
        )
        if row is None:
            raise Unknown(f"no alert {printable(alert_id, ID)}")
        [entry] = _entries(connection, [row], whole=True)
        query = select(HISTORY).where(HISTORY.c.alert == row["number"]).order_by(HISTORY.c.number)
        happened = connection.execute(query).mappings().all()
    history = [Happening(**dict(each) | {"severity": _RANKS[each["severity"]]}) for each in happened]
    return Record(**dict(entry), history=history)


def summary(engine: Engine) -> Summary:
    """Count the alerts by status and severity."""
    groups = select(ALERTS.c.status, ALERTS.c.severity, func.count()).group_by(
        ALERTS.c.status, ALERTS.c.severity
    )
    counts: dict[Status, dict[Severity, int]] = {}
    with engine.connect() as connection:
        for status, rank, count in connection.execute(groups):
            counts.setdefault(Status(status), {})[_RANKS[rank]] = count
        newest = connection.execute(select(func.max(ALERTS.c.raised))).scalar()
    total = sum(sum(by_severity.values()) for by_severity in counts.values())
    return Summary(total=total, counts=counts, newest=newest)


def _conditions(wanted: Filter) -> Iterable[ColumnElement[bool]]:
    if wanted.ids:
        yield ALERTS.c.id.like(_pattern(wanted.ids) + "%", escape=_ESCAPE)
    if wanted.status:
        yield ALERTS.c.status.in_(wanted.status)
    if wanted.severity is not None:
        yield ALERTS.c.severity >= wanted.severity.rank
    for name, pattern in wanted.patterns.items():
        yield ALERTS.c[name].like(_pattern(pattern), escape=_ESCAPE)
    for kind, tag in (("technique", wanted.technique), ("rule", wanted.rule)):
        if tag is not None:
            like = TAGS.c.tag.like(_pattern(tag), escape=_ESCAPE)
            yield ALERTS.c.number.in_(select(TAGS.c.alert).where(TAGS.c.kind == kind, like))
    if wanted.words is not None:
        yield ALERTS.c.words.contains(printable(wanted.words.casefold()), autoescape=True)
    if wanted.since is not None:
        yield ALERTS.c.raised >= wanted.since
    if wanted.until is not None:
        yield ALERTS.c.raised <= wanted.until


def _pattern(text: str) -> str:
    """Return a pattern with `*`, of text as the columns hold it, as one of LIKE."""
    text = printable(text)
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text.replace("*", "%")


def _entries(connection: Connection, rows: Sequence[Any], *, whole: bool) -> list[Entry]:
    tags = _tags(connection, [row["number"] for row in rows])
    return [_entry(row, tags, whole=whole) for row in rows]


def _entry(row: Any, tags: dict[tuple[int, str], list[str]], *, whole: bool) -> Entry:
    return Entry(
        **{name: row[name] for name in _PLAIN},
        severity=_RANKS[row["severity"]],
        title=Bilingual(en=row["title_en"], zh=row["title_zh"]),
        techniques=tags.get((row["number"], "technique"), []),
        rules=tags.get((row["number"], "rule"), []),
        alert=Alert.model_validate_json(row["document"]) if whole else None,
    )


def _tags(connection: Connection, numbers: list[int]) -> dict[tuple[int, str], list[str]]:
    found: dict[tuple[int, str], list[str]] = {}
    query = select(TAGS).where(TAGS.c.alert.in_(numbers)).order_by(TAGS.c.tag)
    for alert, kind, tag in connection.execute(query):
        found.setdefault((alert, kind), []).append(tag)
    return found

# SPDX-License-Identifier: Apache-2.0
"""Writes alerts and what people say of them. Each call is one transaction, made in a thread by its caller."""

import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, delete, insert, select, update

from habitus.alerts import Alert, Severity
from habitus.text import printable
from habitus_console.store.schema import ALERTS, HISTORY, TAGS
from habitus_console.store.states import Act, Status, after, reopens

SCORER: Final = "scorer"
HABITUS: Final = "habitus"
ID: Final = 200
_NAME: Final = 400
_TAGS: Final = 64
_REVISIONS: Final = 100
"""Former revisions that an alert's history keeps."""
_DAY_NS: Final = 86_400 * 10**9


class Unknown(LookupError):
    """No alert of this id is kept."""


class Changed(RuntimeError):
    """The alert is not as the caller knew it; the text says what changed, in one line."""


class Said(NamedTuple):
    """Who says so, why, and the revision that he saw (None: whatever is the newest)."""

    who: str
    why: str = ""
    revision: int | None = None


class Row(NamedTuple):
    """What a decision rests on."""

    number: int
    status: Status
    version: int
    revision: int
    severity: int
    seen: int
    score: float


class AlertStore:
    """The alerts of one database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(writes=True)

    def take(self, alert: Alert, document: str) -> bool:
        """Keep one revision, `document` as it came; False when it or a newer one is kept already.

        Raises:
            ValueError: it has no id that could be looked for.
        """
        if not alert.id or printable(alert.id, ID) != alert.id:
            raise ValueError("its id is empty, too long or not printable")
        with self._writing.begin() as connection:
            row = _row(connection, alert.id)
            if row is not None and row.revision >= alert.revision:
                return False
            values = _values(alert, document)
            number = _revised(connection, row, values) if row else _raised(connection, values)
            _tag(connection, number, alert)
            return True

    def row(self, alert_id: str) -> Row:
        """Return what a decision on an alert rests on.

        Raises:
            Unknown: no such alert.
        """
        with self.engine.connect() as connection:
            return _known(connection, alert_id)

    def decide(
        self, alert_id: str, act: Act, said: Said, version: int | None = None, *, again: bool = False
    ) -> bool:
        """Record what a person decided; False when it stands so already and `again` does not count.

        `version` is that of the row which the decision rests on, None for whatever it is now.

        Raises:
            Unknown: no such alert.
            Changed: another version, or a newer revision than the person saw.
            Forbidden: the state does not allow it.
        """
        with self._writing.begin() as connection:
            row = _known(connection, alert_id)
            check(row, said, version)
            status = after(row.status, act)
            if status is row.status and not again:
                return False
            _settle(connection, row, status, row.severity)
            _remember(connection, row.number, act, said, row._asdict())
            return True

    def trim(self, keep_days: float, keep_alerts: int) -> int:
        """Remove alerts by age and number, the oldest first; return how many went."""
        oldest = time.time_ns() - int(keep_days * _DAY_NS)
        beyond = select(ALERTS.c.number).order_by(ALERTS.c.number.desc()).offset(keep_alerts).limit(1)
        with self._writing.begin() as connection:
            aged = connection.execute(delete(ALERTS).where(ALERTS.c.raised < oldest))
            surplus = connection.execute(delete(ALERTS).where(ALERTS.c.number <= beyond.scalar_subquery()))
            return aged.rowcount + surplus.rowcount


def check(row: Row, said: Said, version: int | None) -> None:
    """Raise Changed unless the alert is as the decision knew it."""
    if said.revision is not None and said.revision < row.revision:
        raise Changed(f"it grew meanwhile: revision {row.revision}, not {said.revision}; look at it again")
    if version is not None and version != row.version:
        raise Changed("it changed meanwhile; look at it again")


def _row(connection: Connection, alert_id: str) -> Row | None:
    columns = [ALERTS.c[name] for name in Row._fields]
    found = connection.execute(select(*columns).where(ALERTS.c.id == alert_id).with_for_update()).first()
    return Row(*found)._replace(status=Status(found.status)) if found else None


def _known(connection: Connection, alert_id: str) -> Row:
    row = _row(connection, printable(alert_id, ID))
    if row is None:
        raise Unknown(f"no alert {printable(alert_id, ID)}")
    return row


def _raised(connection: Connection, values: dict[str, Any]) -> int:
    first = values | {
        "status": Status.OPEN,
        "version": 1,
        "seen": values["severity"],
        "changed": time.time_ns(),
    }
    number: int = connection.execute(insert(ALERTS).values(first).returning(ALERTS.c.number)).scalar_one()
    _remember(connection, number, Act.RAISED, Said(SCORER), values)
    return number


def _revised(connection: Connection, row: Row, values: dict[str, Any]) -> int:
    connection.execute(
        update(ALERTS).where(ALERTS.c.number == row.number).values(values | {"version": row.version + 1})
    )
    connection.execute(delete(TAGS).where(TAGS.c.alert == row.number))
    _remember(connection, row.number, Act.REVISED, Said(SCORER), values)
    connection.execute(
        delete(HISTORY).where(
            HISTORY.c.alert == row.number,
            HISTORY.c.act == Act.REVISED,
            HISTORY.c.revision <= values["revision"] - _REVISIONS,
        )
    )
    severity = values["severity"]
    if reopens(row.status, row.seen, severity):
        ranks = list(Severity)
        why = f"revision {values['revision']} is {ranks[severity]}; it was {row.status} as {ranks[row.seen]}"
        _settle(connection, row._replace(version=row.version + 1), Status.OPEN, severity)
        _remember(connection, row.number, Act.REOPEN, Said(HABITUS, why), values)
    return row.number


def _settle(connection: Connection, row: Row, status: Status, seen: int) -> None:
    new = {"status": status, "seen": seen, "version": row.version + 1, "changed": time.time_ns()}
    connection.execute(update(ALERTS).where(ALERTS.c.number == row.number).values(new))


def _remember(connection: Connection, number: int, act: Act, said: Said, at: dict[str, Any]) -> None:
    entry = {
        "alert": number,
        "at": time.time_ns(),
        "act": act,
        "who": printable(said.who, _NAME),
        "why": printable(said.why),
        **{name: at[name] for name in ("revision", "severity", "score")},
    }
    connection.execute(insert(HISTORY).values(entry))


def _values(alert: Alert, document: str) -> dict[str, Any]:
    where = alert.where
    names = {name: getattr(where, name) for name in ("node", "namespace", "pod", "container", "image")}
    titles = {"title_en": alert.title.en, "title_zh": alert.title.zh}
    return {
        "id": alert.id,
        "revision": alert.revision,
        "severity": alert.severity.rank,
        "score": alert.score,
        "words": printable(f"{alert.title.en}\n{alert.title.zh}".casefold(), 2 * _NAME),
        "first_seen": alert.first_seen,
        "raised": alert.raised,
        "document": document,
        **{name: printable(text or "", _NAME) for name, text in (names | titles).items()},
    }


def _tag(connection: Connection, number: int, alert: Alert) -> None:
    rows = [{"alert": number, "kind": kind, "tag": tag} for kind, tag in _tags(alert)]
    if rows:
        connection.execute(insert(TAGS), rows)


def _tags(alert: Alert) -> Iterator[tuple[str, str]]:
    findings = [finding.id for score in alert.engines.values() for finding in score.findings]
    for kind, tags in (("technique", alert.techniques), ("rule", findings)):
        named = dict.fromkeys(printable(tag, _NAME) for tag in tags)
        yield from ((kind, tag) for tag in list(named)[:_TAGS])

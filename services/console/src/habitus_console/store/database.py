# SPDX-License-Identifier: Apache-2.0
"""Opens the database that the settings name, and brings its tables up to date."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from habitus.text import printable
from habitus_console.store import migrations
from habitus_console.store.migrations import OtherTables
from habitus_console.store.schema import IDENTITY

log = logging.getLogger(__name__)

_LOCK: Final = 0x4861_6269_7475_7301
"""Number of PostgreSQL's advisory lock that one console holds while it migrates."""
_WAIT_S: Final = 10
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class DatabaseFault(RuntimeError):
    """The database cannot be used; the text says why in one line and holds no password."""


def url_of(setting: str | None, folder: Path) -> URL:
    """Return where the alerts are: the setting, else `console.db` in the state folder.

    Raises:
        DatabaseFault: no URL, or of another database.
    """
    if setting is None:
        return URL.create("sqlite", database=str(folder / "console.db"))
    try:
        url = make_url(setting)
    except ArgumentError:
        raise DatabaseFault("console.database is no URL; e.g. postgresql+psycopg://user@host/name") from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise DatabaseFault(
            f"console.database: {printable(url.drivername, 50)}: sqlite or postgresql+psycopg"
        )
    if url.drivername == "sqlite" and url.database in {None, "", ":memory:"}:
        raise DatabaseFault("console.database: sqlite keeps alerts in a file: sqlite:////path/to/alerts.db")
    return url


def opened(url: URL) -> Engine:
    """Connect, bring the tables up to date under a lock, and return the engine.

    Raises:
        DatabaseFault: nothing answers, it refuses us, or its tables are of a newer Habitus.
    """
    try:
        engine = _sqlite(url) if url.drivername == "sqlite" else _postgresql(url)
        with _disposed_on_fault(engine), engine.execution_options(writes=True).begin() as connection:
            migrate(connection)
    except ModuleNotFoundError:
        raise DatabaseFault("PostgreSQL needs a driver: pip install 'habitus-console[postgresql]'") from None
    except OtherTables as error:
        raise DatabaseFault(f"{shown(url)} is of another Habitus: {_line(error)}") from None
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseFault(
            f"no alerts in {shown(url)}: {_line(error)}; see HABITUS_CONSOLE_DATABASE"
        ) from None
    log.info("alerts are kept in %s", shown(url))
    return engine


@contextlib.contextmanager
def _disposed_on_fault(engine: Engine) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.dispose()
        raise


def migrate(connection: Connection) -> None:
    """Apply what this database lacks, in the caller's transaction: all of it or nothing.

    SQLite's transaction has the write lock already; on PostgreSQL a second console waits for the first.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
    migrations.upgrade(connection)


def name_of(engine: Engine) -> str:
    """Return the name that the database got when it was made."""
    with engine.connect() as connection:
        name: str = connection.execute(select(IDENTITY.c.name)).scalar_one()
    return name


def shown(url: URL) -> str:
    """Return a URL for a person, without its password, which may stand in the query too."""
    return printable(url.set(query={}).render_as_string(hide_password=True), 200)


def _line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return printable(" ".join(str(cause).split()), 200)


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url, pool_pre_ping=True, hide_parameters=True, connect_args={"connect_timeout": _WAIT_S}
    )


def _sqlite(url: URL) -> Engine:
    if url.database:
        # What alerts tell is not for every user of the machine.
        Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(url.database).touch(mode=0o600)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _WAIT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we begin ourselves: the driver would not for DDL
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "case_sensitive_like=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: one that reads first could be refused half way.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine

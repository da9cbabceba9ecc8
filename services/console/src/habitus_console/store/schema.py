# SPDX-License-Identifier: Apache-2.0
"""The tables. The migrations make them; a test holds the two together.

Times are nanoseconds since the epoch. Columns that are searched hold printable text: what was observed may
carry NUL, which PostgreSQL refuses. `document` is the alert as it came, in JSON, which spells NUL as text.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")

IDENTITY: Final = Table("identity", METADATA, Column("name", Text, primary_key=True))
"""One row: the name of this database, by which the broker remembers what it has taken."""

ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),  # grows with each change of the row
    Column("severity", SmallInteger, nullable=False),  # rank
    Column("seen", SmallInteger, nullable=False),  # rank that the last decision knew of
    Column("score", Float, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("words", Text, nullable=False),  # both titles, case folded
    Column("node", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("pod", Text, nullable=False),
    Column("container", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("raised", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "status", "number"),
    Index(None, "raised"),
    Index(None, "namespace", "pod"),
    Index(None, "image"),
    sqlite_autoincrement=True,  # a number never comes twice: cursors rest on it
)

TAGS: Final = Table(
    "tags",
    METADATA,
    Column("alert", NUMBER, ForeignKey(ALERTS.c.number, ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("tag", Text, primary_key=True),
    Index(None, "kind", "tag"),
)
"""ATT&CK techniques (`technique`) and ids of rules and other findings (`rule`) of each alert."""

HISTORY: Final = Table(
    "history",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("alert", NUMBER, ForeignKey(ALERTS.c.number, ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("act", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("score", Float, nullable=False),
    Index(None, "alert", "number"),
    sqlite_autoincrement=True,
)
"""Who did what, when and why; of former revisions severity and score stay, not the whole alert."""

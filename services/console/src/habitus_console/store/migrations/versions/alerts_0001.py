# SPDX-License-Identifier: Apache-2.0
"""Alerts, their tags and their history; the database gets its name."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _whole(name: str, kind: type[sa.Integer] = sa.Integer) -> sa.Column[int]:
    return sa.Column(name, kind, nullable=False)


def _alert(table: str, *, primary_key: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey("alerts.number", name=f"fk_{table}_alert", ondelete="CASCADE")
    return sa.Column("alert", _NUMBER, key, nullable=False, primary_key=primary_key)


def upgrade() -> None:
    """Make the tables."""
    identity = op.create_table("identity", _text("name"), sa.PrimaryKeyConstraint("name", name="pk_identity"))
    op.bulk_insert(identity, [{"name": secrets.token_hex(6)}])
    op.create_table(
        "alerts",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        _text("id"),
        _whole("revision"),
        _text("status"),
        _whole("version"),
        _whole("severity", sa.SmallInteger),
        _whole("seen", sa.SmallInteger),
        sa.Column("score", sa.Float, nullable=False),
        *map(_text, ("title_en", "title_zh", "words", "node", "namespace", "pod", "container", "image")),
        *(_whole(name, sa.BigInteger) for name in ("first_seen", "raised", "changed")),
        _text("document"),
        sa.UniqueConstraint("id", name="uq_alerts_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alerts_status_number", "alerts", ["status", "number"])
    op.create_index("ix_alerts_raised", "alerts", ["raised"])
    op.create_index("ix_alerts_namespace_pod", "alerts", ["namespace", "pod"])
    op.create_index("ix_alerts_image", "alerts", ["image"])
    op.create_table(
        "tags",
        _alert("tags", primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("tag", sa.Text, primary_key=True),
    )
    op.create_index("ix_tags_kind_tag", "tags", ["kind", "tag"])
    op.create_table(
        "history",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        _alert("history"),
        _whole("at", sa.BigInteger),
        *map(_text, ("act", "who", "why")),
        _whole("revision"),
        _whole("severity", sa.SmallInteger),
        sa.Column("score", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_history_alert_number", "history", ["alert", "number"])
